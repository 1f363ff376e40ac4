package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage/sqlite"
)

func dataDir(dir string) []Finding {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return wrong(fmt.Sprintf("the data folder %s does not exist: \"qpc-server quickstart\" makes it", dir))
	case err != nil:
		return wrong(fmt.Sprintf("the data folder cannot be looked at: %v", err))
	case !info.IsDir():
		return wrong(fmt.Sprintf("the data folder %s is not a folder", dir))
	}
	// Only writing tells whether one can write.
	probe, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return wrong(fmt.Sprintf("the data folder cannot be written to by this user: %v", err))
	}
	probe.Close()
	os.Remove(probe.Name())
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return warn(fmt.Sprintf("others can look into the data folder: chmod 700 %s", dir))
	}
	return ok("the data folder is there, writable and private")
}

func keyFiles(dir string) []Finding {
	errs := secrets.Check(dir)
	if len(errs) == 0 {
		return ok("the server's keys are there and private")
	}
	var findings []Finding
	for _, err := range errs {
		text := fmt.Sprintf("key file %v", err)
		if errors.Is(err, fs.ErrNotExist) {
			text += ": restore it from a backup; without a database, the next start makes a new one"
		}
		findings = append(findings, Finding{Wrong, text})
	}
	return findings
}

// earliest is before any release of the program.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// maxSkew is how far ahead of the clock a file's time may be.
const maxSkew = 5 * time.Minute

// clock finds clocks that cannot be right. KeyPackages, certificates and
// invites are judged by it.
func clock(ctx context.Context, cfg config.Config, now time.Time) []Finding {
	if now.Before(earliest) {
		return wrong(fmt.Sprintf("the clock says %s, which cannot be: set it", now.Format(time.DateOnly)))
	}
	// with a store elsewhere, whose clock is another, these files do not exist
	for _, name := range []string{secrets.DatabaseName, secrets.DatabaseName + "-wal"} {
		info, err := os.Stat(filepath.Join(cfg.DataDir, name))
		if err == nil && info.ModTime().Sub(now) > maxSkew {
			return wrong(fmt.Sprintf("the clock says %s, but the database was written at %s: one of them was wrong",
				now.Format(time.DateTime), info.ModTime().Format(time.DateTime)))
		}
	}
	if cfg.Store.URL == "" {
		newest, err := sqlite.NewestDay(ctx, filepath.Join(cfg.DataDir, secrets.DatabaseName))
		if err == nil && newest.Sub(now) > maxSkew {
			return wrong(fmt.Sprintf("the clock says %s, but the database has something from %s: one of them was wrong",
				now.UTC().Format(time.DateTime), newest.Format(time.DateOnly)))
		}
	}
	return ok("the clock is plausible: " + now.Format(time.DateTime+" MST"))
}
