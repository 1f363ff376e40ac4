package sqlite

import (
	"database/sql"
	"strings"
	"sync"
	"testing"

	"quicprochat/server/storage"
	"quicprochat/server/storage/storagetest"
)

// TestStore runs the suite, and then asks how SQLite carries out every
// statement that the suite has run.
func TestStore(t *testing.T) {
	var mu sync.Mutex
	statements := make(map[string]struct{})
	t.Run("suite", func(t *testing.T) {
		storagetest.Run(t, func(t testing.TB, limits storage.Limits) storage.Store {
			s, err := Open(t.Context(), newPath(t), limits)
			must(t, err)
			t.Cleanup(func() {
				_ = s.Close() // some tests close it themselves
				mu.Lock()
				defer mu.Unlock()
				for query := range s.writer.tx.statements {
					statements[query] = struct{}{}
				}
				s.reader.statements.Range(func(query, _ any) bool {
					statements[query.(string)] = struct{}{}
					return true
				})
			})
			return s
		})
	})
	t.Run("plans", func(t *testing.T) {
		if len(statements) == 0 {
			t.Skip("needs the statements of the suite")
		}
		checkPlans(t, statements)
		storagetest.CheckCovered(t, statements, map[string]string{
			"SELECT max(version_id) FROM goose_db_version": "a row for each migration, read when an operator asks",
			"SELECT max(coalesce((SELECT max(active_day)":  "one row of each table, by index and key; read when an operator asks",
		})
	})
}

// checkPlans fails where a statement scans or sorts a table.
func checkPlans(t *testing.T, statements map[string]struct{}) {
	s := openAt(t, newPath(t), storage.DefaultLimits())
	explained := 0
	for query := range statements {
		switch strings.Fields(query)[0] {
		case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		case "BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT":
			continue
		default:
			t.Errorf("unexpected statement %q", query)
		}
		explained++
		for _, step := range explain(t, s, query) {
			if scansTable(step) || strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "AUTOMATIC") {
				t.Errorf("%s: %s", step, query)
			}
		}
	}
	if explained < 40 {
		t.Errorf("only %d statements", explained)
	}
	if steps := explain(t, s, `SELECT 1 FROM queue_items WHERE day = 1`); !strings.HasPrefix(steps[0], "SCAN queue_items") {
		t.Errorf("a scan does not show: %q", steps)
	}
}

// scansTable tells a scan of a table from one of the statement's own values.
func scansTable(step string) bool {
	return strings.HasPrefix(step, "SCAN ") && step != "SCAN new" &&
		!strings.Contains(step, " CONSTANT ROW") && !strings.HasSuffix(step, "-ROW VALUES CLAUSE")
}

func explain(t *testing.T, s *Store, query string) []string {
	t.Helper()
	rows, err := s.reader.db.Query("EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	var steps []string
	must(t, eachRow(rows, func(rows *sql.Rows) error {
		var id, parent, unused int
		var detail string
		err := rows.Scan(&id, &parent, &unused, &detail)
		steps = append(steps, detail)
		return err
	}))
	return steps
}
