package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// recorder keeps the text of every statement that is run.
type recorder struct {
	mu         sync.Mutex
	statements map[string]struct{}
}

func (r *recorder) add(sql string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements[sql] = struct{}{}
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.add(data.SQL)
	return ctx
}
func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (r *recorder) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	r.add(data.SQL)
}
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// fill gives every table enough rows that a plan for them differs from one for
// an empty table.
const fill = `
INSERT INTO accounts SELECT sha256(n::text::bytea), 'user ' || n, '', '', '', 0, n FROM generate_series(1, 2000) n;
INSERT INTO invites SELECT sha256(n::text::bytea), 1, n, 0 FROM generate_series(1, 2000) n;
INSERT INTO devices (id, account, certificate, enrolled_day) SELECT sha256(n::text::bytea), sha256(n::text::bytea), '', 0 FROM generate_series(1, 2000) n;
INSERT INTO revoked_devices (id, account) SELECT sha256(n::text::bytea), sha256((n % 3 + 1)::text::bytea) FROM generate_series(1, 2000) n;
INSERT INTO hybrid_keys SELECT number, '' FROM devices;
INSERT INTO key_packages (device, ref, expires, data) SELECT number, n::text::bytea, number, '' FROM devices, generate_series(1, 4) n;
INSERT INTO last_resort_key_packages SELECT number, number, '' FROM devices;
INSERT INTO queues SELECT number, id, 4, 4, 0, false, number FROM devices;
INSERT INTO queue_items SELECT number, n, 0, '' FROM devices, generate_series(1, 4) n;
INSERT INTO channels (id, digest, epoch, open_from, active_day) SELECT sha256(n::text::bytea), '', 0, 0, n FROM generate_series(1, 2000) n;
INSERT INTO channel_keys SELECT number, n, '' FROM channels, generate_series(1, 4) n;
INSERT INTO channel_winners SELECT number, n, '' FROM channels, generate_series(1, 4) n;
INSERT INTO channel_addresses SELECT number, n::text::bytea FROM channels, generate_series(1, 4) n;
INSERT INTO channel_items SELECT number, n::text::bytea, n, number FROM channels, generate_series(1, 4) n;
INSERT INTO blobs SELECT sha256(n::text::bytea), 40, 10, n % 3, n, NULL FROM generate_series(1, 2000) n;
INSERT INTO blob_chunks SELECT name, n, name, true FROM blobs, generate_series(1, 4) n;
INSERT INTO blob_quotas SELECT sha256(n::text::bytea), n, 1 FROM generate_series(1, 2000) n;
INSERT INTO account_vaults SELECT id, 1, '' FROM accounts;
INSERT INTO recovery_bundles SELECT id, '', '' FROM accounts;
INSERT INTO recovery_tries SELECT sha256(n::text::bytea), n, 1 FROM generate_series(1, 2000) n;
INSERT INTO deleted_names SELECT sha256(n::text::bytea) FROM generate_series(1, 2000) n;
INSERT INTO bans SELECT id, created_day, 0, created_day % 3, '' FROM accounts;
INSERT INTO reports (id, day, resolution, sealed) SELECT sha256(n::text::bytea), n, n % 3, '' FROM generate_series(1, 2000) n;
INSERT INTO report_quotas SELECT sha256(n::text::bytea), n, 1 FROM generate_series(1, 2000) n;
INSERT INTO push_registrations SELECT number, '' FROM devices;
INSERT INTO endpoints SELECT sha256(n::text::bytea), '', n, n, n::text::bytea FROM generate_series(1, 2000) n;
INSERT INTO token_quotas SELECT sha256(n::text::bytea), n, 1, '' FROM generate_series(1, 2000) n;
INSERT INTO spent_tokens SELECT sha256(n::text::bytea), '', n FROM generate_series(1, 2000) n;
`

// checkPlans fails where a statement would read a table, or an index, from end
// to end. It asks before the tables have rows, when the planner knows nothing,
// as on a server's first day, when they have, and when they have grown since
// the planner counted them.
func checkPlans(t *testing.T, statements map[string]struct{}) {
	u := newURL(t)
	s := openAt(t, u, storage.DefaultLimits())
	conn, err := s.pool.Acquire(t.Context())
	must(t, err)
	defer conn.Release()
	exec := func(sql string) {
		t.Helper()
		_, err := conn.Conn().PgConn().Exec(t.Context(), sql).ReadAll()
		must(t, err)
	}
	exec(`SET plan_cache_mode = force_generic_plan`)
	p := planner{t: t, conn: conn.Conn()}
	for _, state := range []struct{ name, prepare string }{
		{"new tables", ``},
		{"tables of a few rows", strings.ReplaceAll(fill, "2000", "3") + `; ANALYZE`},
		{"full tables", `TRUNCATE accounts, invites, channels, blobs CASCADE; TRUNCATE queue_items, channel_items, blob_quotas, recovery_tries, deleted_names, reports, report_quotas, endpoints, token_quotas, spent_tokens; ` + fill + `; ANALYZE`},
	} {
		exec(state.prepare)
		explained := 0
		for sql := range statements {
			if !hasPlan(t, sql) {
				continue
			}
			explained++
			p.check(state.name, sql)
		}
		if explained < 50 {
			t.Errorf("only %d statements", explained)
		}
	}
	if p.bad(p.explain(`SELECT 1 FROM queue_items WHERE day = 1`)) == "" {
		t.Error("a scan does not show")
	}
	if p.bad(p.explain(`SELECT 1 FROM queues q JOIN queue_items i ON i.queue = q.number`)) == "" {
		t.Error("a scan of a whole index does not show")
	}
}

func hasPlan(t *testing.T, sql string) bool {
	switch word := strings.Fields(sql)[0]; word {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return true
	case "BEGIN", "COMMIT", "ROLLBACK":
	default:
		t.Errorf("unexpected statement %q", sql)
	}
	return false
}

type planner struct {
	t    *testing.T
	conn *pgx.Conn
	n    int
}

// node is a step of a plan.
type node struct {
	Type      string `json:"Node Type"`
	Relation  string `json:"Relation Name"`
	Index     string `json:"Index Name"`
	IndexCond string `json:"Index Cond"`
	TIDCond   string `json:"TID Cond"`
	Plans     []node
}

// explain gives the plan for any parameters.
func (p *planner) explain(sql string) node {
	p.t.Helper()
	p.n++
	name := fmt.Sprintf("plan_%d", p.n)
	description, err := p.conn.Prepare(p.t.Context(), name, sql)
	if err != nil {
		p.t.Fatalf("%v: %s", err, sql)
	}
	execute := "EXPLAIN (FORMAT JSON) EXECUTE " + name
	if n := len(description.ParamOIDs); n > 0 {
		execute += "(" + strings.Join(slices.Repeat([]string{"NULL"}, n), ", ") + ")"
	}
	var text []byte
	if err := p.conn.QueryRow(p.t.Context(), execute, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		p.t.Fatalf("%v: %s", err, sql)
	}
	var plans []struct{ Plan node }
	must(p.t, json.Unmarshal(text, &plans))
	must(p.t, p.conn.Deallocate(p.t.Context(), name))
	return plans[0].Plan
}

func (p *planner) check(state, sql string) {
	p.t.Helper()
	if why := p.bad(p.explain(sql)); why != "" {
		p.t.Errorf("%s: %s: %s", state, why, sql)
	}
}

// bad tells which step reads all of something. The table "server" has one row.
func (p *planner) bad(n node) string {
	reads := strings.HasSuffix(n.Type, "Scan") && n.Relation+n.Index != "" && n.Relation != "server"
	if reads && n.Type != "Bitmap Heap Scan" && n.IndexCond == "" && n.TIDCond == "" {
		return n.Type + " on " + n.Relation + " " + n.Index
	}
	for _, child := range n.Plans {
		if why := p.bad(child); why != "" {
			return why
		}
	}
	return ""
}
