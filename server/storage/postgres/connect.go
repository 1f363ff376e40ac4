package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"quicprochat/server/storage"
)

const (
	// minVersion is the oldest PostgreSQL that the suite runs on.
	minVersion = 15
	// maxConns is how many connections a store opens unless its URL says
	// otherwise. PostgreSQL allows 100 in all by default.
	maxConns = 16
	// connectTime bounds one attempt to connect.
	connectTime = 5 * time.Second
)

// session is set on every connection. The planner's settings make it take the
// index that every statement has, even where its statistics come from a time
// when a table was small.
var session = map[string]string{
	"application_name":                    "qpc-server",
	"timezone":                            "UTC",
	"client_encoding":                     "UTF8",
	"default_transaction_isolation":       "read committed",
	"enable_seqscan":                      "off",
	"jit":                                 "off",
	"statement_timeout":                   "30s",
	"idle_in_transaction_session_timeout": "15s", // frees the rows that a frozen server has locked
	"tcp_keepalives_idle":                 "15",
}

func parseURL(text storage.URL) (*pgxpool.Config, error) {
	u, err := text.Parse()
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(text.Reveal())
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", storage.ErrURL, parseProblem(err))
	}
	if !u.Query().Has("pool_max_conns") {
		cfg.MaxConns = maxConns
	}
	if !u.Query().Has("connect_timeout") {
		cfg.ConnConfig.ConnectTimeout = connectTime
	}
	cfg.PingTimeout = connectTime
	cfg.AfterConnect = syncCommits
	params := cfg.ConnConfig.RuntimeParams
	for name, value := range session {
		if _, set := params[name]; !set {
			params[name] = value
		}
	}
	return cfg, nil
}

// parseProblem names what is wrong with a URL without repeating any of it.
func parseProblem(err error) string {
	for _, part := range []string{"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile", "servicefile", "pool_max_conns", "connect_timeout"} {
		if strings.Contains(err.Error(), "invalid "+part) || strings.Contains(err.Error(), part+" is invalid") {
			return "its " + part + " is not valid"
		}
	}
	return "it cannot be read"
}

// ConnectError says in words why a database cannot be used. Its text holds no
// password.
type ConnectError struct {
	text string
	err  error
}

func (e *ConnectError) Error() string { return e.text }
func (e *ConnectError) Unwrap() error { return e.err }

// connectError puts the failure to connect into words; other errors stay.
func connectError(err error) error {
	failed, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return err
	}
	cfg := failed.Config
	where := "PostgreSQL at " + address(cfg)
	say := func(format string, args ...any) error {
		return &ConnectError{text: fmt.Sprintf(format, args...), err: err}
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code {
		case "28P01", "28000":
			return say("%s does not let user %q in: check the user, the password and PostgreSQL's pg_hba.conf (%s)", where, cfg.User, refused.Message)
		case "3D000":
			return say("%s has no database %q: make it with createdb --owner=%s %s", where, cfg.Database, cfg.User, cfg.Database)
		case "42501":
			return say("%s does not let user %q use database %q: grant the right to connect", where, cfg.User, cfg.Database)
		case "53300":
			return say("%s has no connection left: raise its max_connections, or lower pool_max_conns in the store's URL", where)
		case "57P03":
			return say("%s is starting up or shutting down: try again shortly", where)
		}
		return say("%s refuses the connection: %s", where, refused.Message)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return say("the host %q of the store's URL cannot be found: %s", cfg.Host, dns.Err)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return say("there is no socket of %s: is it running?", where)
	case errors.Is(err, os.ErrPermission):
		return say("this user may not use the socket of %s", where)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return say("%s did not answer in time: is it running, and does a firewall let this machine through?", where)
	case isRefused(err):
		return say("nothing listens at %s: is PostgreSQL running there?", address(cfg))
	case strings.Contains(err.Error(), "tls") || strings.Contains(err.Error(), "x509") || strings.Contains(err.Error(), "TLS"):
		return say("no TLS connection to %s: sslmode=verify-full needs sslrootcert, and a server without TLS sslmode=disable", where)
	}
	return say("%s cannot be reached", where)
}

func isRefused(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && strings.Contains(op.Err.Error(), "refused")
}

func address(cfg *pgconn.Config) string {
	if strings.HasPrefix(cfg.Host, "/") {
		return cfg.Host
	}
	return net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))
}

// facts are settings of a database that have to be right.
type facts struct {
	version                               int // server_version_num
	encoding, fsync, pageWrites, readOnly string
}

// checkDatabase refuses a database that could not keep the store's promises.
func checkDatabase(ctx context.Context, conn *pgx.Conn) error {
	var f facts
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_setting('fsync'),
		current_setting('full_page_writes'), current_setting('transaction_read_only')`).
		Scan(&f.version, &f.encoding, &f.fsync, &f.pageWrites, &f.readOnly)
	if err != nil {
		return fmt.Errorf("ask for the database's settings: %w", err)
	}
	return f.check()
}

func (f facts) check() error {
	switch {
	case f.version/10_000 < minVersion:
		return &ConnectError{text: fmt.Sprintf("PostgreSQL is version %d, which is too old: version %d or newer is needed", f.version/10_000, minVersion)}
	case f.encoding != "UTF8":
		return &ConnectError{text: fmt.Sprintf("the database has encoding %s: make one with createdb --encoding=UTF8 --template=template0", f.encoding)}
	case f.fsync != "on" || f.pageWrites != "on":
		return &ConnectError{text: "PostgreSQL would lose data in a power cut: set fsync and full_page_writes to on in its configuration"}
	case f.readOnly == "on":
		return &ConnectError{text: "the database takes no changes: it is a replica, or its user or database is set to read only"}
	}
	return nil
}

// syncCommits makes commits of a connection wait for the disk where the
// configuration would not.
func syncCommits(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')`)
	return err
}

// Dial opens one connection for statements that may take long, and checks that
// the database can be used; the schema may be of any version. name is what the
// database's administrator sees. storage.ErrURL, *ConnectError.
func Dial(ctx context.Context, url storage.URL, name string) (*pgx.Conn, error) {
	cfg, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	single := patient(cfg.ConnConfig)
	single.RuntimeParams["application_name"] = name
	single.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	conn, err := pgx.ConnectConfig(ctx, single)
	if err != nil {
		return nil, connectError(err)
	}
	if err := checkDatabase(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// ErrInUse: a server has the database open.
var ErrInUse = errors.New("the database is in use: stop every server that runs on it first")

// leaveTime is how long connections that were closed may still be seen.
const leaveTime = 2 * time.Second

// KeepOut refuses where a server has the database open, and keeps others from
// opening it as long as conn is open. ErrInUse.
func KeepOut(ctx context.Context, conn *pgx.Conn) error {
	for deadline := time.Now().Add(leaveTime); ; {
		alone, err := keptOut(ctx, conn)
		switch {
		case err != nil:
			return fmt.Errorf("look for other connections: %w", err)
		case alone:
			return nil
		case time.Now().After(deadline):
			return ErrInUse
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func keptOut(ctx context.Context, conn *pgx.Conn) (alone bool, err error) {
	var held bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) OR pg_try_advisory_lock($1)`,
		int64(migrationLock)).Scan(&held)
	if err != nil || !held {
		return false, err
	}
	err = conn.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = $1)`,
		session["application_name"]).Scan(&alone)
	return alone, err
}
