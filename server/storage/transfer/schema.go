package transfer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Exceptions to "both databases have the same tables and columns":

// onlyPostgres is not carried. "server" holds a hash of the server keys, which
// is written for the keys at hand.
var onlyPostgres = []string{"server"}

// uncarried are columns that say what other columns say, or always the same.
// SQLite's are inserted as insert, and filled in by fill behind all tables;
// PostgreSQL's fill themselves in.
type uncarried struct{ insert, fill string }

var sqliteAlone = map[string]map[string]uncarried{
	"channels":   {"addresses": {"0", `UPDATE channels SET addresses = (SELECT count(*) FROM channel_addresses WHERE channel = channels.number)`}},
	"moderation": {"one": {insert: "1"}},
}

var postgresAlone = map[string]string{"moderation": "single"}

// packed is a column of SQLite's that holds two, with how to read and write it.
type packedColumn struct {
	column string
	parts  []string
	read   []string
	write  string // with a parameter for each part
}

var packed = map[string]packedColumn{
	"queue_items": {
		column: "position",
		parts:  []string{"queue", "seq"},
		read:   []string{"position >> 32", "position & 4294967295"},
		write:  "(? << 32) | ?",
	},
}

// goose keeps its own table in each database.
const versionTable = "goose_db_version"

// table is what is carried of a table: columns in the order of their names.
type table struct {
	name    string
	columns []string
}

// schema is what is carried of a database.
type schema struct {
	columns map[string][]string
	// needs lists the tables that a table refers to.
	needs map[string][]string
}

func (s *schema) add(name, column string) {
	if s.columns == nil {
		s.columns, s.needs = make(map[string][]string), make(map[string][]string)
	}
	s.columns[name] = append(s.columns[name], column)
}

// plan lists the tables, each after those that it refers to. ErrSchemas.
func plan(ctx context.Context, from, to database) ([]table, error) {
	a, err := from.schema(ctx)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	b, err := to.schema(ctx)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	if differences := differ(a, b); len(differences) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrSchemas, strings.Join(differences, ", "))
	}
	if len(a.columns) == 0 {
		return nil, fmt.Errorf("%w: there are none", ErrSchemas)
	}
	return a.order(), nil
}

// differ names what one schema has and the other has not.
func differ(a, b schema) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(union(a.columns, b.columns))) {
		mine, other := a.columns[name], b.columns[name]
		switch {
		case mine == nil || other == nil:
			names = append(names, name)
			continue
		}
		for _, column := range slices.Concat(mine, other) {
			full := name + "." + column
			if slices.Contains(mine, column) != slices.Contains(other, column) && !slices.Contains(names, full) {
				names = append(names, full)
			}
		}
	}
	return names
}

func union(a, b map[string][]string) map[string][]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// order sorts tables behind those that they refer to, else by name.
func (s schema) order() []table {
	var tables []table
	seen := make(map[string]bool)
	var visit func(string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, need := range slices.Sorted(slices.Values(s.needs[name])) {
			visit(need)
		}
		tables = append(tables, table{name, slices.Sorted(slices.Values(s.columns[name]))})
	}
	for _, name := range slices.Sorted(maps.Keys(s.columns)) {
		visit(name)
	}
	return tables
}
