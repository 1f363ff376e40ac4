package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"quicprochat/server/secrets"
	"quicprochat/server/storage"
)

// A server that cannot know which database is meant does not start, and makes
// none.
func TestStoreInDoubt(t *testing.T) {
	cfg := DefaultConfig()
	cfg.DataDir, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	start := func() error {
		t.Helper()
		s, err := New(cfg, nil, WithStore(func(context.Context, storage.URL, storage.Limits, []byte) (storage.Store, error) {
			return nil, os.ErrPermission // it was asked for
		}))
		if err == nil {
			err = s.Shutdown(context.Background())
		}
		return err
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.DataDir, secrets.DatabaseName)

	cfg.Store.URL = "postgres://qpc@db/qpc"
	if err := start(); !errors.Is(err, ErrTwoStores) {
		t.Errorf("two databases: %v", err)
	}
	if err := os.Rename(path, path+MovedSuffix); err != nil {
		t.Fatal(err)
	}
	if err := start(); !errors.Is(err, os.ErrPermission) {
		t.Errorf("moved: %v", err)
	}
	cfg.Store.URL = ""
	if err := start(); !errors.Is(err, ErrMoved) {
		t.Errorf("moved, and forgotten: %v", err)
	}
	if exists(path) {
		t.Error("made an empty database in place of the one that was moved")
	}
}

// What a restore that was killed has left is not taken for a server.
func TestHalfRestored(t *testing.T) {
	cfg := DefaultConfig()
	cfg.DataDir, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	if err := os.Mkdir(filepath.Join(cfg.DataDir, secrets.RestoringName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg, nil); !errors.Is(err, ErrRestoring) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(cfg.DataDir); err != nil || len(left) != 1 {
		t.Errorf("made %v: %v", left, err)
	}
}
