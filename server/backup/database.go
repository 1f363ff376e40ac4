package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"quicprochat/server/blob"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/sqlite"
	"quicprochat/server/storage/transfer"
	"quicprochat/server/verify"
)

// addDatabase copies the database, adds the contents of the blobs that the
// copy lists, and then the copy.
func (a *archive) addDatabase(ctx context.Context, s Source) error {
	temp, err := os.MkdirTemp(s.TempDir, copyPattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	snapshot := filepath.Join(temp, secrets.DatabaseName)
	if err := copyDatabase(ctx, s, snapshot); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if s.Config.BlobURL == "" {
		if err := a.addBlobs(ctx, s, snapshot); err != nil {
			return fmt.Errorf("blobs: %w", err)
		}
	}
	return a.addFile(dataPrefix+secrets.DatabaseName, snapshot)
}

// copyDatabase makes a SQLite file of the database as it is now.
func copyDatabase(ctx context.Context, s Source, path string) error {
	if s.Config.Store.URL == "" {
		return sqlite.Snapshot(ctx, filepath.Join(s.Config.DataDir, secrets.DatabaseName), path)
	}
	return transfer.ToSQLite(ctx, s.Config.Store.URL, path, transfer.Options{}, func(transfer.Progress) {})
}

// errMissing: the contents of a blob are not there, and it is not gone.
var errMissing = errors.New("contents are missing: run \"qpc-server verify\"")

func (a *archive) addBlobs(ctx context.Context, s Source, snapshot string) (err error) {
	db, err := sqlite.OpenExclusive(ctx, snapshot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	folder := blob.ReadFolder(filepath.Join(s.Config.DataDir, blob.FolderName))
	gone := make(map[storage.BlobName]bool) // as many as are deleted while a backup is made
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing was changed
	err = verify.Chunks(ctx, tx, func(c verify.Chunk) error {
		if gone[c.Name] {
			return nil
		}
		err := a.addObject(ctx, folder, c)
		if errors.Is(err, os.ErrNotExist) {
			gone[c.Name] = true
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := tx.Rollback(); err != nil {
		return err
	}
	for name := range gone {
		if err := a.markGone(ctx, s, db, name); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) addObject(ctx context.Context, folder *blob.Folder, c verify.Chunk) error {
	r, err := folder.Read(ctx, c.Key(), 0, c.Size)
	if err != nil {
		return err
	}
	defer r.Close()
	a.summary.Objects++
	return a.add(dataPrefix+blob.FolderName+"/"+c.Key(), r, c.Size)
}

// markGone makes sure that a blob without contents was deleted meanwhile, and
// notes it in the copy, where it is cleared away like any other.
func (a *archive) markGone(ctx context.Context, s Source, snapshot *sql.DB, name storage.BlobName) error {
	gone, err := goneNow(ctx, s.Config, name)
	if err != nil {
		return err
	}
	if !gone {
		return errMissing
	}
	a.summary.Gone++
	_, err = snapshot.ExecContext(ctx, `UPDATE blobs SET state = 2, due = 0, hash = NULL WHERE name = ?`, name[:])
	return err
}

// goneNow asks the live database whether a blob is gone.
func goneNow(ctx context.Context, cfg config.Config, name storage.BlobName) (gone bool, err error) {
	if cfg.Store.URL == "" {
		live, err := sqlite.OpenReadOnly(filepath.Join(cfg.DataDir, secrets.DatabaseName))
		if err != nil {
			return false, err
		}
		gone, err = verify.Gone(ctx, live, name)
		return gone, errors.Join(err, live.Close())
	}
	conn, err := postgres.Dial(ctx, cfg.Store.URL, transfer.Name)
	if err != nil {
		return false, err
	}
	err = conn.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM blobs WHERE name = $1 AND state <> 2)`, name[:]).Scan(&gone)
	return gone, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// syncDir makes durable what was made in a folder or moved there.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it keeps its folders itself, and cannot be told to
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
