package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// AddReport keeps a report.
func (s *Store) AddReport(ctx context.Context, r storage.NewReport) (added bool, err error) {
	err = s.change(ctx, func(t *tx) error {
		day := int64(storage.DayOf(r.Now))
		n, err := t.exec(`INSERT INTO reports (id, day, resolution, sealed) VALUES ($1, $2, 0, $3) ON CONFLICT (id) DO NOTHING`, r.ID[:], day, blob(r.Sealed))
		if err != nil {
			return fmt.Errorf("store report: %w", err)
		}
		if added = n > 0; !added {
			return nil
		}
		var used int
		err = t.get(into(&used), `INSERT INTO report_quotas (quota, day, used) VALUES ($1, $2, 1)
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
		WHERE resolution = 0 AND number > $1 ORDER BY number LIMIT $2`
	selectResolvedReports = `SELECT number, id, day, resolution, sealed FROM reports
		WHERE resolution <> 0 AND number > $1 ORDER BY number LIMIT $2`
)

// Reports gives a page of reports.
func (s *Store) Reports(ctx context.Context, p storage.ReportPage) (reports []storage.Report, more bool, err error) {
	query := selectOpenReports
	if p.Resolved {
		query = selectResolvedReports
	}
	var bytes int
	start := func() { reports, more, bytes = nil, false, 0 }
	err = s.each(ctx, start, func(rows pgx.Rows) error {
		var r storage.Report
		if more {
			return nil
		}
		if err := rows.Scan(&r.Number, (*id32)(&r.ID), &r.Day, &r.Resolution, &r.Sealed); err != nil {
			return err
		}
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
	return s.change(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE reports SET resolution = $1 WHERE number = $2`, int16(resolution), int64(min(number, math.MaxInt64)))
		if err != nil {
			return fmt.Errorf("resolve report: %w", err)
		}
		if n == 0 {
			return storage.ErrUnknownReport
		}
		return nil
	})
}
