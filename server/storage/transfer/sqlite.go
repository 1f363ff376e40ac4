package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// sqliteEnd is a SQLite file, in one transaction on one connection.
type sqliteEnd struct{ conn *sql.Conn }

func (e sqliteEnd) schema(ctx context.Context) (s schema, err error) {
	columns, err := e.pairs(ctx, `SELECT m.name, c.name FROM sqlite_schema m, pragma_table_xinfo(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND m.name <> '`+versionTable+`'`)
	if err != nil {
		return s, err
	}
	for _, c := range columns {
		name, column := c[0], c[1]
		_, alone := sqliteAlone[name][column]
		switch p := packed[name]; {
		case alone:
		case p.column == column:
			for _, part := range p.parts {
				s.add(name, part)
			}
		default:
			s.add(name, column)
		}
	}
	references, err := e.pairs(ctx, `SELECT m.name, f."table" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`)
	for _, r := range references {
		s.needs[r[0]] = append(s.needs[r[0]], r[1])
	}
	return s, err
}

// pairs reads rows of two names.
func (e sqliteEnd) pairs(ctx context.Context, query string) (all [][2]string, err error) {
	rows, err := e.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var pair [2]string
		if err := rows.Scan(&pair[0], &pair[1]); err != nil {
			return nil, err
		}
		all = append(all, pair)
	}
	return all, rows.Err()
}

func (e sqliteEnd) read(ctx context.Context, t table) (rows, error) {
	expressions := make([]string, len(t.columns))
	for i, column := range t.columns {
		expressions[i] = quote(column)
		if part := slices.Index(packed[t.name].parts, column); part >= 0 {
			expressions[i] = packed[t.name].read[part]
		}
	}
	found, err := e.conn.QueryContext(ctx, `SELECT `+strings.Join(expressions, ", ")+` FROM `+quote(t.name))
	if err != nil {
		return nil, err
	}
	r := &sqliteRows{rows: found, row: make([]any, len(t.columns)), dest: make([]any, len(t.columns))}
	for i := range r.row {
		r.dest[i] = &r.row[i]
	}
	return r, nil
}

type sqliteRows struct {
	rows      *sql.Rows
	row, dest []any
}

func (r *sqliteRows) close() error { return r.rows.Close() }

func (r *sqliteRows) next() ([]any, error) {
	if !r.rows.Next() {
		return nil, orEOF(r.rows.Err())
	}
	if err := r.rows.Scan(r.dest...); err != nil {
		return nil, err
	}
	for i, value := range r.row {
		if b, ok := value.([]byte); ok && b == nil {
			r.row[i] = []byte{} // an empty value, which the driver gives as nil, and not NULL
		}
	}
	return r.row, nil
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

func (e sqliteEnd) clear(ctx context.Context, t table) error {
	_, err := e.conn.ExecContext(ctx, `DELETE FROM `+quote(t.name))
	return err
}

func (e sqliteEnd) write(ctx context.Context, t table, next nextRow) error {
	statement, arguments := e.insertion(t)
	insert, err := e.conn.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer insert.Close()
	args := make([]any, len(arguments))
	for {
		row, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i, from := range arguments {
			args[i] = row[from]
		}
		if _, err := insert.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
}

// insertion gives the statement that inserts a row, and which of the row's
// values its parameters are.
func (e sqliteEnd) insertion(t table) (statement string, arguments []int) {
	var columns, values []string
	for i, column := range t.columns {
		if !slices.Contains(packed[t.name].parts, column) {
			columns, values, arguments = append(columns, quote(column)), append(values, "?"), append(arguments, i)
		}
	}
	if p, ok := packed[t.name]; ok {
		columns, values = append(columns, quote(p.column)), append(values, p.write)
		for _, part := range p.parts {
			arguments = append(arguments, slices.Index(t.columns, part))
		}
	}
	for column, alone := range sqliteAlone[t.name] {
		columns, values = append(columns, quote(column)), append(values, alone.insert)
	}
	return fmt.Sprintf(`INSERT INTO %s (%s) VALUES (%s)`, quote(t.name), strings.Join(columns, ", "), strings.Join(values, ", ")), arguments
}

func (e sqliteEnd) counters(ctx context.Context) (map[string]int64, error) {
	rows, err := e.conn.QueryContext(ctx, `SELECT name, seq FROM sqlite_sequence WHERE name <> '`+versionTable+`'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[string]int64)
	for rows.Next() {
		var name string
		var last int64
		if err := rows.Scan(&name, &last); err != nil {
			return nil, err
		}
		all[name] = last
	}
	return all, rows.Err()
}

func (e sqliteEnd) finish(ctx context.Context, counters map[string]int64) error {
	for _, columns := range sqliteAlone {
		for _, alone := range columns {
			if _, err := e.conn.ExecContext(ctx, alone.fill); err != nil {
				return err
			}
		}
	}
	for name, last := range counters {
		_, err := e.conn.ExecContext(ctx, `DELETE FROM sqlite_sequence WHERE name = ?1;
			INSERT INTO sqlite_sequence (name, seq) SELECT ?1, ?2 FROM sqlite_schema WHERE name = ?1 AND sql LIKE '%AUTOINCREMENT%'`, name, last)
		if err != nil {
			return err
		}
	}
	broken, err := e.pairs(ctx, `SELECT "table", "parent" FROM pragma_foreign_key_check LIMIT 1`)
	if err == nil && len(broken) > 0 {
		err = fmt.Errorf("a row of %s refers to a row of %s that is not there", broken[0][0], broken[0][1])
	}
	return err
}

// quote writes a name as SQL wants it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
