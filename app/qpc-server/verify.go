package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"quicprochat/server/address"
	"quicprochat/server/backup"
	"quicprochat/server/blob"
	"quicprochat/server/check"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage/transfer"
	"quicprochat/server/verify"
)

type verifyCmd struct {
	settings
	keyFlags
	Backup   string `arg:"" optional:"" type:"path" placeholder:"FILE" help:"A backup to verify, instead of the server's data."`
	Contents bool   `help:"Read all files that people sent and compare them with their hashes. Always done for a backup."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run looks through everything that a server or a backup holds.
func (cmd *verifyCmd) Run(c *console) error {
	ctx, stop := interruptible()
	defer stop()
	if cmd.Backup != "" {
		return cmd.backup(ctx, c)
	}
	cfg, err := cmd.loadExisting(c.environ)
	if err != nil {
		return err
	}
	subject, done, err := cmd.subject(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	return c.tellFindings(verify.Run(ctx, subject), cmd.JSON)
}

func (cmd *verifyCmd) backup(ctx context.Context, c *console) error {
	r, file, err := cmd.open(cmd.Backup)
	if err != nil {
		return err
	}
	defer file.Close()
	temp, err := os.MkdirTemp("", "qpc-verify-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	restored, findings, err := backup.Verify(ctx, r, temp)
	if err != nil {
		return err
	}
	first := check.Finding{Grade: check.OK, Text: fmt.Sprintf("the backup of %s is whole: %d files, %s", restored.Day, restored.Files, size(restored.Bytes))}
	return c.tellFindings(func(yield func(check.Finding) bool) {
		if yield(first) {
			findings(yield)
		}
	}, cmd.JSON)
}

// subject is what there is to look through. done tidies up behind it.
func (cmd *verifyCmd) subject(ctx context.Context, cfg config.Config) (s verify.Subject, done func(), err error) {
	if errs := secrets.Check(cfg.DataDir); len(errs) > 0 { // Load would make missing ones
		return s, nil, errors.Join(errs...)
	}
	keys, err := secrets.Load(cfg.DataDir)
	if err != nil {
		return s, nil, err
	}
	s = verify.Subject{
		Database: filepath.Join(cfg.DataDir, secrets.DatabaseName), Sealer: address.NewSealer(keys.Address, keys.Storage), Contents: cmd.Contents,
		Objects: blob.ReadFolder(filepath.Join(cfg.DataDir, blob.FolderName)),
	}
	done = func() {}
	if cfg.BlobURL != "" {
		if s.Objects, err = openBucket(ctx, cfg.BlobURL); err != nil {
			return s, nil, err
		}
		done = func() { s.Objects.Close() }
	}
	if cfg.Store.URL == "" {
		return s, done, nil
	}
	return s, done, cmd.copyDatabase(ctx, cfg, keys, &s, &done)
}

// copyDatabase takes a copy of a PostgreSQL database to look at.
func (cmd *verifyCmd) copyDatabase(ctx context.Context, cfg config.Config, keys *secrets.Secrets, s *verify.Subject, done *func()) error {
	hash, err := keys.Hash()
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp(cfg.DataDir, ".verify-*")
	if err != nil {
		return err
	}
	before := *done
	*done = func() {
		before()
		os.RemoveAll(temp)
	}
	s.Database = filepath.Join(temp, secrets.DatabaseName)
	if err := transfer.ToSQLite(ctx, cfg.Store.URL, s.Database, transfer.Options{KeyHash: hash}, func(transfer.Progress) {}); err != nil {
		(*done)()
		return fmt.Errorf("copying the database to look at it: %w", err)
	}
	return nil
}

// tellFindings prints findings as they come, and fails where one is wrong.
func (c *console) tellFindings(findings iter.Seq[check.Finding], asJSON bool) error {
	all := []check.Finding{}
	wrong := 0
	for f := range findings {
		if f.Grade == check.Wrong {
			wrong++
		}
		all = append(all, f)
		if !asJSON {
			fmt.Fprintf(c.out, "%-5s %s\n", f.Grade, indent(f.Text))
		}
	}
	if asJSON {
		if err := c.printJSON(map[string]any{"ok": wrong == 0, "findings": all}); err != nil {
			return err
		}
	}
	switch wrong {
	case 0:
		return nil
	case 1:
		return errors.New("one thing is wrong")
	default:
		return fmt.Errorf("%d things are wrong", wrong)
	}
}

func (c *console) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
