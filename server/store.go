package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/sqlite"
)

// OpenStore opens the store that a URL names. keyHash tells the server's keys
// from those of others: a store that was made with other ones is refused.
type OpenStore func(ctx context.Context, url storage.URL, limits storage.Limits, keyHash []byte) (storage.Store, error)

// WithStore makes the server open its store by open where the configuration
// names one. Without it, as in a desktop app, there is only the file in the
// data folder.
func WithStore(open OpenStore) Option { return func(s *Server) { s.open = open } }

// ErrNoStore: the configuration names a store that this program cannot open.
var ErrNoStore = errors.New("this program keeps its data in a file only: leave store.url empty, or run qpc-server")

// MovedSuffix is added to the name of a database file whose contents were moved
// to the database that the configuration names.
const MovedSuffix = ".moved"

var (
	// ErrTwoStores: the configuration names a database, and the data folder
	// has one, too. Starting on either could mean to lose the other.
	ErrTwoStores = errors.New("store.url is set, but the data folder has a database file, too: \"qpc-server migrate-store\" moves it there; or clear store.url to use the file; or move the file away")
	// ErrMoved: the database file was moved to a database that the
	// configuration does not name.
	ErrMoved = errors.New("the database was moved away from the data folder: set store.url to where it is; to go back to how it was then, rename the file that ends in " + MovedSuffix)
)

// ErrRestoring: a restore is under way, or was killed. What is in the folder may
// be keys without their database, beside which an empty one would be made.
var ErrRestoring = errors.New("a backup is being brought back to the data folder, or was not to its end: wait for it, or empty the folder and restore again")

// oneStore makes sure that there is no doubt which database is meant.
func oneStore(cfg Config) error {
	path := filepath.Join(cfg.DataDir, secrets.DatabaseName)
	switch {
	case cfg.Store.URL != "" && exists(path):
		return ErrTwoStores
	case cfg.Store.URL == "" && !exists(path) && exists(path+MovedSuffix):
		return ErrMoved
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// openStore opens the store and has it watched.
func (s *Server) openStore(keys *secrets.Secrets) (storage.Store, error) {
	store, err := s.openPlainStore(keys)
	if err != nil {
		return nil, err
	}
	store.Observe(s.meters.transaction)
	return meteredStore{store, s.meters}, nil
}

func (s *Server) openPlainStore(keys *secrets.Secrets) (storage.Store, error) {
	if err := oneStore(s.cfg); err != nil {
		return nil, err
	}
	ctx, limits := context.Background(), storageLimits(s.cfg.Limits)
	if s.cfg.Store.URL == "" {
		return sqlite.Open(ctx, filepath.Join(s.cfg.DataDir, secrets.DatabaseName), limits)
	}
	if s.open == nil {
		return nil, ErrNoStore
	}
	hash, err := keys.Hash()
	if err != nil {
		return nil, err
	}
	return s.open(ctx, s.cfg.Store.URL, limits, hash)
}

func storageLimits(l config.Limits) storage.Limits {
	return storage.Limits{
		Devices:          l.DevicesPerAccount,
		KeyPackages:      l.KeyPackagesPerDevice,
		QueueItems:       l.QueueItems,
		QueueBytes:       l.QueueBytes,
		ChannelAddresses: l.ChannelAddresses,
		ItemTTL:          l.QueueTTL,
		ChannelTTL:       l.ChannelTTL,
		UploadTTL:        l.UploadTTL,
		BlobTTL:          l.BlobTTL,
		BlobQuota:        l.BlobBytesPerDay,
		ReportTTL:        storage.DefaultLimits().ReportTTL,
		ReportsPerDay:    storage.DefaultLimits().ReportsPerDay,

		Endpoints:           max(l.Endpoints, 1),
		EndpointsPerNetwork: l.EndpointsPerNetwork,
	}
}
