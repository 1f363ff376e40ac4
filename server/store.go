package server

import (
	"context"
	"errors"
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

func (s *Server) openStore(keys *secrets.Secrets) (storage.Store, error) {
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
