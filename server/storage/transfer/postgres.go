package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// postgresEnd is a PostgreSQL database, in one transaction.
type postgresEnd struct {
	tx pgx.Tx
	// truth tells columns of type boolean, by table.
	truth map[string]map[string]bool
}

func (e *postgresEnd) schema(ctx context.Context) (s schema, err error) {
	e.truth = make(map[string]map[string]bool)
	var name, column, kind string
	found, err := e.tx.Query(ctx, `SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE table_schema = current_schema() AND t.table_type = 'BASE TABLE'`)
	if err != nil {
		return s, err
	}
	_, err = pgx.ForEachRow(found, []any{&name, &column, &kind}, func() error {
		if name == versionTable || slices.Contains(onlyPostgres, name) || postgresAlone[name] == column {
			return nil
		}
		s.add(name, column)
		if kind == "boolean" {
			if e.truth[name] == nil {
				e.truth[name] = make(map[string]bool)
			}
			e.truth[name][column] = true
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	found, err = e.tx.Query(ctx, `SELECT a.relname, b.relname FROM pg_constraint f JOIN pg_class a ON a.oid = f.conrelid JOIN pg_class b ON b.oid = f.confrelid
		WHERE f.contype = 'f' AND f.connamespace = current_schema()::regnamespace`)
	if err != nil {
		return s, err
	}
	_, err = pgx.ForEachRow(found, []any{&name, &column}, func() error {
		s.needs[name] = append(s.needs[name], column)
		return nil
	})
	return s, err
}

func (e *postgresEnd) read(ctx context.Context, t table) (rows, error) {
	names := make([]string, len(t.columns))
	for i, column := range t.columns {
		names[i] = quote(column)
	}
	found, err := e.tx.Query(ctx, `SELECT `+strings.Join(names, ", ")+` FROM `+quote(t.name))
	return &postgresRows{found}, err
}

type postgresRows struct{ rows pgx.Rows }

func (r *postgresRows) close() error {
	r.rows.Close()
	return r.rows.Err()
}

func (r *postgresRows) next() ([]any, error) {
	if !r.rows.Next() {
		return nil, orEOF(r.rows.Err())
	}
	row, err := r.rows.Values()
	if err != nil {
		return nil, err
	}
	for i, value := range row {
		switch v := value.(type) {
		case bool:
			row[i] = int64(0)
			if v {
				row[i] = int64(1)
			}
		case int32:
			row[i] = int64(v)
		case int16:
			row[i] = int64(v)
		}
	}
	return row, nil
}

func (e *postgresEnd) clear(ctx context.Context, t table) error {
	_, err := e.tx.Exec(ctx, `DELETE FROM `+quote(t.name))
	return err
}

func (e *postgresEnd) write(ctx context.Context, t table, next nextRow) error {
	row := make([]any, len(t.columns))
	_, err := e.tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
		read, err := next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for i, column := range t.columns {
			row[i] = read[i]
			if n, ok := read[i].(int64); ok && e.truth[t.name][column] {
				row[i] = n != 0
			}
		}
		return row, nil
	}))
	return err
}

// numbered is a column whose values PostgreSQL counts.
type numbered struct{ table, column, sequence string }

func (e *postgresEnd) numbered(ctx context.Context) ([]numbered, error) {
	found, err := e.tx.Query(ctx, `SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) FROM information_schema.columns
		WHERE table_schema = current_schema() AND is_identity = 'YES' AND table_name <> $1`, versionTable)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(row pgx.CollectableRow) (n numbered, err error) {
		err = row.Scan(&n.table, &n.column, &n.sequence)
		return n, err
	})
}

func (e *postgresEnd) counters(ctx context.Context) (map[string]int64, error) {
	columns, err := e.numbered(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]int64)
	for _, n := range columns {
		var last int64
		if err := e.tx.QueryRow(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM `+n.sequence).Scan(&last); err != nil {
			return nil, err
		}
		all[n.table] = last
	}
	return all, nil
}

func (e *postgresEnd) finish(ctx context.Context, counters map[string]int64) error {
	columns, err := e.numbered(ctx)
	if err != nil {
		return err
	}
	for _, n := range columns {
		_, err := e.tx.Exec(ctx, fmt.Sprintf(`SELECT setval('%s', greatest(m, 1), m > 0) FROM (SELECT greatest($1::bigint, coalesce(max(%s), 0)) AS m FROM %s) AS newest`,
			strings.ReplaceAll(n.sequence, "'", "''"), quote(n.column), quote(n.table)), counters[n.table])
		if err != nil {
			return err
		}
	}
	return nil
}
