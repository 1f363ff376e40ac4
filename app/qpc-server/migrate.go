package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"quicprochat/server"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/transfer"
)

type migrateStoreCmd struct {
	settings
	ToFile bool `help:"Move the other way: from the configured PostgreSQL database to a file in the data folder."`
}

// Run moves everything between the database file and the configured database.
// The server must be stopped.
func (cmd *migrateStoreCmd) Run(c *console) error {
	cfg, err := cmd.load(c.environ)
	if err != nil {
		return err
	}
	if cfg.Store.URL == "" {
		return errors.New("store.url is not set: stop the server, set it to the PostgreSQL database (also where you want to leave that one), and run this again")
	}
	if errs := secrets.Check(cfg.DataDir); len(errs) > 0 {
		return errors.Join(errs...)
	}
	keys, err := secrets.Load(cfg.DataDir)
	if err != nil {
		return err
	}
	hash, err := keys.Hash()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	path := filepath.Join(cfg.DataDir, secrets.DatabaseName)
	if cmd.ToFile {
		return cmd.toFile(ctx, c, cfg, path, hash)
	}
	return cmd.toPostgres(ctx, c, cfg, path, hash)
}

func (cmd *migrateStoreCmd) toPostgres(ctx context.Context, c *console, cfg config.Config, path string, hash []byte) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no database file %s: nothing to move", path)
	}
	err := transfer.ToPostgres(ctx, path, cfg.Store.URL, hash, c.tellProgress)
	switch {
	case errors.Is(err, transfer.ErrNotEmpty):
		return fmt.Errorf("%w: if what is in %s can be thrown away, drop that database and make it again (dropdb, createdb)", err, cfg.Store.URL)
	case err != nil:
		return fmt.Errorf("nothing was moved, and everything is where it was: %w", err)
	}
	if err := os.Rename(path, path+server.MovedSuffix); err != nil {
		return fmt.Errorf("everything was moved; move %s away yourself: %w", path, err)
	}
	fmt.Fprintf(c.out, "Everything is in %s, and was compared with the original. Start the server.\n%s is the state of now; delete it when you are content.\n", cfg.Store.URL, path+server.MovedSuffix)
	return nil
}

func (cmd *migrateStoreCmd) toFile(ctx context.Context, c *console, cfg config.Config, path string, hash []byte) error {
	err := transfer.ToSQLite(ctx, cfg.Store.URL, path, transfer.Options{KeyHash: hash, Offline: true}, c.tellProgress)
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("%s exists: move it away first", path)
	case errors.Is(err, postgres.ErrEmpty):
		return fmt.Errorf("%s is empty: nothing to move", cfg.Store.URL)
	case err != nil:
		return fmt.Errorf("nothing was moved, and everything is where it was: %w", err)
	}
	fmt.Fprintf(c.out, "Everything is in %s, and was compared with the original. Clear store.url in the configuration, then start the server.\nDrop the database %s when you are content.\n", path, cfg.Store.URL)
	return nil
}

func (c *console) tellProgress(p transfer.Progress) {
	if p.Rows > 0 {
		fmt.Fprintf(c.out, "%s: %d\n", p.Table, p.Rows)
	}
}
