package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"quicprochat/server"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
)

// newServer makes the server of cfg, with whatever store it names.
func newServer(cfg config.Config, log *slog.Logger, options ...server.Option) (*server.Server, error) {
	return server.New(cfg, log, append(options, server.WithStore(openStore))...)
}

func openStore(ctx context.Context, url storage.URL, limits storage.Limits, keyHash []byte) (storage.Store, error) {
	// not in one step: a nil *postgres.Store is not a nil storage.Store
	s, err := postgres.Open(ctx, postgres.Options{URL: url, Limits: limits, KeyHash: keyHash})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// isSetUp tells whether the data folder of cfg belongs to a server.
func isSetUp(cfg config.Config) bool {
	made := secrets.DatabaseName
	if cfg.Store.URL != "" {
		made = secrets.StorageFile
	}
	_, err := os.Stat(filepath.Join(cfg.DataDir, made))
	return err == nil
}
