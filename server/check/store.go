package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/sqlite"
)

func database(ctx context.Context, cfg config.Config, now time.Time) []Finding {
	if cfg.Store.URL != "" {
		return sharedDatabase(ctx, cfg, now)
	}
	path := filepath.Join(cfg.DataDir, secrets.DatabaseName)
	if _, err := os.Stat(path); err != nil {
		return wrong(fmt.Sprintf("there is no database (%s): the first start makes it", secrets.DatabaseName))
	}
	if err := sqlite.Check(ctx, path); err != nil {
		return schema(err)
	}
	return ok("the database opens and is sound, its schema is this version's")
}

// schema puts what is wrong with a database into words.
func schema(err error) []Finding {
	switch {
	case errors.Is(err, storage.ErrSchemaNewer):
		return wrong("the database was written by a newer qpc-server: use that one")
	case errors.Is(err, storage.ErrSchemaOlder):
		return warn("the database was written by an older qpc-server: the next start brings it up to date; make a backup first")
	}
	return wrong(fmt.Sprintf("the database cannot be used: %v", err))
}

// sharedDatabase looks at a PostgreSQL database, and at whether its clock and
// this machine's agree.
func sharedDatabase(ctx context.Context, cfg config.Config, now time.Time) []Finding {
	var hash []byte
	if len(secrets.Check(cfg.DataDir)) == 0 { // what is wrong with them is a finding of its own
		keys, err := secrets.Load(cfg.DataDir)
		if err == nil {
			hash, err = keys.Hash()
		}
		if err != nil {
			return wrong(fmt.Sprintf("the server's keys cannot be used: %v", err))
		}
	}
	asked := time.Now()
	report, err := postgres.Check(ctx, cfg.Store.URL, hash)
	switch {
	case errors.Is(err, postgres.ErrEmpty):
		return wrong("the database is empty: the first start makes its tables")
	case err != nil:
		return schema(err)
	}
	var findings []Finding
	here := now.Add(time.Since(asked)) // now, as the caller believes it to be
	if skew := report.Clock.Sub(here).Abs(); skew > maxSkew {
		findings = append(findings, Finding{Wrong, fmt.Sprintf("the clock says %s, but the database's says %s: one of them is wrong",
			here.UTC().Format(time.DateTime), report.Clock.UTC().Format(time.DateTime))})
	}
	if report.Plain {
		findings = append(findings, Finding{Warning, "the connection to the database crosses the network without TLS: add sslmode=verify-full to store.url"})
	}
	if cfg.BlobURL == "" {
		findings = append(findings, Finding{Warning, "files lie in this server's data folder: a second server of the database would not find them; set blob_url before there is one"})
	}
	return append(findings, ok(fmt.Sprintf("PostgreSQL %s at %s answers, the database's schema is this version's", report.Version, cfg.Store.URL))...)
}
