// Package verify looks through everything that a server keeps and says in
// words what does not fit together: what SQLite finds, the promises of package
// storage, that items and addresses open under the key files, and that the
// contents of blobs are there.
//
// It changes nothing, sees the database as it is at one moment, and works
// beside a running server. Its memory does not grow with the database.
package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"quicprochat/server/address"
	"quicprochat/server/blob"
	"quicprochat/server/check"
	"quicprochat/server/storage"
	"quicprochat/server/storage/sqlite"
)

// Subject is what is looked through.
type Subject struct {
	// Database is a SQLite file.
	Database string
	// Sealer has the keys that items and addresses have to fit.
	Sealer *address.Sealer
	// Objects hold the contents of blobs; nil: they are not looked at.
	Objects blob.Objects
	// Contents reads all of them and compares their hashes.
	Contents bool
}

// job is a Subject under inspection.
type job struct {
	Subject
	tx *sql.Tx
	// now is another connection, which sees what has changed meanwhile.
	now   *sql.DB
	yield func(check.Finding) bool
	ended bool
}

var errEnded = errors.New("nobody listens")

// Run looks at everything in turn. It ends at the first thing that makes the
// rest pointless.
func Run(ctx context.Context, s Subject) iter.Seq[check.Finding] {
	return func(yield func(check.Finding) bool) {
		j := &job{Subject: s, yield: yield}
		if err := j.run(ctx); err != nil && !j.ended {
			yield(check.Finding{Grade: check.Wrong, Text: describe(err)})
		}
	}
}

func describe(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no database"
	case errors.Is(err, storage.ErrSchemaNewer):
		return "the database was written by a newer qpc-server: verify it with that one"
	case errors.Is(err, storage.ErrSchemaOlder):
		return "the database was written by an older qpc-server: verify it with that one, or start the server once, which brings it up to date"
	}
	return fmt.Sprintf("the database cannot be read: %v", err)
}

func (j *job) run(ctx context.Context) (err error) {
	if err := sqlite.CheckSchema(ctx, j.Database); err != nil {
		return err
	}
	db, err := sqlite.OpenReadOnly(j.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if j.now, err = sqlite.OpenReadOnly(j.Database); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.now.Close()) }()
	if j.tx, err = db.BeginTx(ctx, nil); err != nil {
		return err
	}
	defer func() { _ = j.tx.Rollback() }() // nothing was changed
	for _, step := range []func(context.Context) error{j.integrity, j.references, j.accounts, j.queues, j.channels, j.posted, j.addresses, j.blobs, j.objects, j.strays} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) say(grade check.Grade, format string, args ...any) error {
	if j.yield(check.Finding{Grade: grade, Text: fmt.Sprintf(format, args...)}) {
		return nil
	}
	j.ended = true
	return errEnded
}

// integrity asks SQLite itself, which reads every page.
func (j *job) integrity(ctx context.Context) error {
	damaged := 0
	err := j.each(ctx, func(rows *sql.Rows) error {
		var verdict string
		if err := rows.Scan(&verdict); err != nil || verdict == "ok" {
			return err
		}
		damaged++
		return j.say(check.Wrong, "the database file is damaged: %s", verdict)
	}, `PRAGMA integrity_check(5)`)
	if err != nil || damaged > 0 {
		return err
	}
	return j.say(check.OK, "the database file is sound")
}

func (j *job) references(ctx context.Context) error {
	n, err := j.count(ctx, `SELECT count(*) FROM pragma_foreign_key_check`)
	if err != nil {
		return err
	}
	if n > 0 {
		return j.say(check.Wrong, "%s to what is not there", rowsSay(n, "refers", "refer"))
	}
	return j.say(check.OK, "all references lead somewhere")
}

func rowsSay(n int64, one, many string) string {
	if n == 1 {
		return "1 row " + one
	}
	return fmt.Sprintf("%d rows %s", n, many)
}

// rule is a promise with a query that counts what breaks it.
type rule struct{ broken, query string }

// obey looks at rules and tells what was counted where all hold.
func (j *job) obey(ctx context.Context, fine, total string, rules []rule) error {
	whole := true
	for _, r := range rules {
		n, err := j.count(ctx, r.query)
		if err != nil {
			return err
		}
		if n > 0 {
			whole = false
			if err := j.say(check.Wrong, "%d × %s", n, r.broken); err != nil {
				return err
			}
		}
	}
	if !whole {
		return nil
	}
	n, err := j.count(ctx, total)
	if err != nil {
		return err
	}
	return j.say(check.OK, fine, n)
}

func (j *job) accounts(ctx context.Context) error {
	return j.obey(ctx, "%d accounts have what belongs to them", `SELECT count(*) FROM accounts`, []rule{
		{"a device without a queue", `SELECT count(*) FROM devices d WHERE NOT EXISTS (SELECT 1 FROM queues q WHERE q.number = d.number)`},
		{"a device that is revoked and enrolled at once", `SELECT count(*) FROM revoked_devices r WHERE EXISTS (SELECT 1 FROM devices d WHERE d.id = r.id)`},
		{"an account id that has not 16 bytes", `SELECT count(*) FROM accounts WHERE length(id) <> 16`},
		{"an OPAQUE record that has not 192 bytes", `SELECT count(*) FROM accounts WHERE length(record) <> 192`},
		{"an invite with fewer than no uses left", `SELECT count(*) FROM invites WHERE uses_left < 0`},
	})
}

func (j *job) channels(ctx context.Context) error {
	return j.obey(ctx, "%d channels have their keys, winners and addresses", `SELECT count(*) FROM channels`, []rule{
		{"a channel that counts its addresses wrongly", `SELECT count(*) FROM channels c WHERE addresses <> (SELECT count(*) FROM channel_addresses a WHERE a.channel = c.number)`},
		{"a channel without the verify key of its epoch", `SELECT count(*) FROM channels c WHERE NOT EXISTS (SELECT 1 FROM channel_keys k WHERE k.channel = c.number AND k.epoch = c.epoch)`},
		{"a verify key of an epoch that has not begun", `SELECT count(*) FROM channel_keys k JOIN channels c ON c.number = k.channel WHERE k.epoch > c.epoch`},
		{"a winner of an epoch that has not ended", `SELECT count(*) FROM channel_winners w JOIN channels c ON c.number = w.channel WHERE w.epoch >= c.epoch`},
		{"a channel whose winners have a gap", `SELECT count(*) FROM channels c WHERE EXISTS (SELECT 1 FROM channel_winners w WHERE w.channel = c.number)
			AND c.epoch - (SELECT min(epoch) FROM channel_winners w WHERE w.channel = c.number) <> (SELECT count(*) FROM channel_winners w WHERE w.channel = c.number)`},
		{"a posted item behind its channel's last position", `SELECT count(*) FROM channel_items i JOIN channels c ON c.number = i.channel WHERE i.seq > c.last_seq`},
	})
}

func (j *job) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := j.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (j *job) count(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = j.tx.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}
