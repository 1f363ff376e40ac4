package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres/postgrestest"
)

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func withConn(ctx context.Context, cfg *pgx.ConnConfig, use func(context.Context, querier) error) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(use(ctx, conn), conn.Close(ctx))
}

// change gives a URL with another user, password, database or host.
func changeURL(t *testing.T, text string, change func(*url.URL, url.Values)) string {
	t.Helper()
	u, err := url.Parse(text)
	must(t, err)
	query := u.Query()
	change(u, query)
	u.RawQuery = query.Encode()
	return u.String()
}

// secret is a password that no message may hold.
const secret = "s3cr3t!pass"

// What is wrong is told in words, and never with the password.
func TestConnectErrors(t *testing.T) {
	u := newURL(t)
	cluster := postgrestest.Shared(t)
	must(t, cluster.Exec(t.Context(), postgrestest.DatabaseName(u), fmt.Sprintf(`
		CREATE ROLE %s SUPERUSER LOGIN PASSWORD 'right'; CREATE ROLE guest LOGIN; CREATE ROLE ro SUPERUSER LOGIN; ALTER ROLE ro SET default_transaction_read_only = on`, postgrestest.LockedUser)))
	must(t, cluster.Exec(t.Context(), "postgres", `CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'`))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, closed.Close())
	with := func(change func(*url.URL, url.Values)) string { return changeURL(t, u, change) }
	for name, test := range map[string]struct{ url, want string }{
		"wrong password": {with(func(u *url.URL, _ url.Values) { u.User = url.UserPassword(postgrestest.LockedUser, secret) }), `does not let user "locked" in: check the user, the password`},
		"unknown user":   {with(func(u *url.URL, _ url.Values) { u.User = url.UserPassword("nobody-here", secret) }), `does not let user "nobody-here" in`},
		"no database":    {with(func(u *url.URL, _ url.Values) { u.Path = "/missing" }), `has no database "missing": make it with createdb --owner=qpc missing`},
		"no socket":      {with(func(_ *url.URL, q url.Values) { q.Set("host", "/nowhere") }), `there is no socket of PostgreSQL at /nowhere: is it running?`},
		"nothing there": {
			with(func(u *url.URL, q url.Values) {
				q.Del("host")
				u.Host, u.User = closed.Addr().String(), url.UserPassword("qpc", secret)
			}),
			"nothing listens at " + closed.Addr().String(),
		},
		"no such host": {with(func(u *url.URL, q url.Values) {
			q.Del("host")
			u.Host, u.User = "host.invalid", url.UserPassword("qpc", secret)
		}), `the host "host.invalid" of the store's URL cannot be found`},
		"no rights":         {with(func(u *url.URL, _ url.Values) { u.User = url.User("guest") }), `user "guest" may not make tables`},
		"read only":         {with(func(u *url.URL, _ url.Values) { u.User = url.User("ro") }), "takes no changes"},
		"encoding":          {with(func(u *url.URL, _ url.Values) { u.Path = "/latin" }), "encoding LATIN1"},
		"not a URL":         {"host=db password=" + secret, "is not one such as postgres://"},
		"bad escape":        {"postgres://qpc:%zz" + secret + "@db/qpc", "is not one such as postgres://"},
		"another scheme":    {"mysql://qpc:" + secret + "@db/qpc", "is not one such as postgres://"},
		"unescaped slash":   {"postgres://qpc:a/" + secret + "@db/qpc", "is not one such as postgres://"},
		"bad parameter":     {"postgres://qpc:" + secret + "@db/qpc?sslmode=maybe", "its sslmode is not valid"},
		"no number of them": {"postgres://qpc:" + secret + "@db/qpc?pool_max_conns=many", "not one such as"},
	} {
		t.Run(name, func(t *testing.T) {
			target := test.url
			if name == "no rights" { // an empty database of somebody else
				target = changeURL(t, emptyURL(t), func(u *url.URL, _ url.Values) { u.User = url.User("guest") })
			}
			s, err := Open(t.Context(), Options{URL: storage.URL(target), Limits: storage.DefaultLimits()})
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			text := fmt.Sprintf("%v %+v %#v", err, err, err.Error())
			if !strings.Contains(text, test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if strings.Contains(text, secret) {
				t.Errorf("the password shows: %s", text)
			}
			if name == "no rights" {
				return // a check looks only
			}
			if _, err := Check(t.Context(), storage.URL(target), nil); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("check: got %v", err)
			}
		})
	}
	must(t, openAt(t, with(func(u *url.URL, _ url.Values) { u.User = url.UserPassword(postgrestest.LockedUser, "right") }), storage.DefaultLimits()).Close())
	if _, err := Open(t.Context(), Options{URL: storage.URL(u), Limits: storage.Limits{Devices: 1}}); err == nil {
		t.Error("limits of zero: opened")
	}
}

func TestFacts(t *testing.T) {
	good := facts{version: 150004, encoding: "UTF8", fsync: "on", pageWrites: "on", readOnly: "off"}
	must(t, good.check())
	for want, change := range map[string]func(*facts){
		"version 14, which is too old": func(f *facts) { f.version = 140011 },
		"lose data in a power cut":     func(f *facts) { f.fsync = "off" },
		"full_page_writes":             func(f *facts) { f.pageWrites = "off" },
	} {
		f := good
		change(&f)
		if err := f.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Commits wait for the disk, whatever the configuration says.
func TestSynchronousCommit(t *testing.T) {
	u := newURL(t)
	must(t, postgrestest.Shared(t).Exec(t.Context(), "postgres", fmt.Sprintf(`ALTER DATABASE %s SET synchronous_commit = off`, postgrestest.DatabaseName(u))))
	s := openAt(t, u, storage.DefaultLimits())
	var got string
	must(t, s.get(t.Context(), into(&got), `SELECT current_setting('synchronous_commit')`))
	if got != "on" {
		t.Errorf("synchronous_commit is %s", got)
	}
}
