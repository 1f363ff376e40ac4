package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"quicprochat/server/storage"
)

// AddReport keeps a report.
func (s *Store) AddReport(ctx context.Context, r storage.NewReport) (added bool, err error) {
	err = s.writer.do(ctx, func(t *tx) error {
		day := int64(storage.DayOf(r.Now))
		n, err := t.exec(`INSERT INTO reports (id, day, resolution, sealed) VALUES (?, ?, 0, ?) ON CONFLICT (id) DO NOTHING`, r.ID[:], day, blob(r.Sealed))
		if err != nil {
			return fmt.Errorf("store report: %w", err)
		}
		if added = n > 0; !added {
			return nil
		}
		var used int
		err = t.get(into(&used), `INSERT INTO report_quotas (quota, day, used) VALUES (?, ?, 1)
			ON CONFLICT (quota) DO UPDATE SET used = report_quotas.used + 1 RETURNING used`, r.Quota[:], day)
		if err != nil {
			return fmt.Errorf("count report: %w", err)
		}
		if used > s.limits.ReportsPerDay {
			return storage.ErrReportQuota
		}
		return nil
	})
	return added && err == nil, err
}

const (
	selectOpenReports = `SELECT number, id, day, resolution, sealed FROM reports
		WHERE resolution = 0 AND number > ? ORDER BY number LIMIT ?`
	selectResolvedReports = `SELECT number, id, day, resolution, sealed FROM reports
		WHERE resolution <> 0 AND number > ? ORDER BY number LIMIT ?`
)

// Reports gives a page of reports.
func (s *Store) Reports(ctx context.Context, p storage.ReportPage) (reports []storage.Report, more bool, err error) {
	query := selectOpenReports
	if p.Resolved {
		query = selectResolvedReports
	}
	bytes := 0
	err = s.reader.each(ctx, func(rows *sql.Rows) error {
		var r storage.Report
		var id []byte
		if more {
			return nil
		}
		if err := rows.Scan(&r.Number, &id, &r.Day, &r.Resolution, &r.Sealed); err != nil {
			return err
		}
		copy(r.ID[:], id)
		if bytes += len(r.Sealed); len(reports) == p.Limit || len(reports) > 0 && bytes > p.MaxBytes {
			more = true
			return nil
		}
		reports = append(reports, r)
		return nil
	}, query, int64(min(p.After, math.MaxInt64)), p.Limit+1)
	if err != nil {
		return nil, false, err
	}
	return reports, more, nil
}

// ResolveReport sets the resolution of a report.
func (s *Store) ResolveReport(ctx context.Context, number uint64, resolution uint8) error {
	return s.writer.do(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE reports SET resolution = ? WHERE number = ?`, int64(resolution), int64(min(number, math.MaxInt64)))
		if err != nil {
			return fmt.Errorf("resolve report: %w", err)
		}
		if n == 0 {
			return storage.ErrUnknownReport
		}
		return nil
	})
}
