package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"quicprochat/server/storage"
)

// SetRole gives an account a role.
func (s *Store) SetRole(ctx context.Context, account [16]byte, role storage.Role) error {
	return s.writer.do(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE accounts SET role = ? WHERE id = ?`, int(role), account[:])
		if err != nil {
			return fmt.Errorf("set role: %w", err)
		}
		if n == 0 {
			return storage.ErrUnknownAccount
		}
		return nil
	})
}

// BanAccount bans an account.
func (s *Store) BanAccount(ctx context.Context, n storage.NewBan) (storage.Ban, error) {
	ban := storage.Ban{Account: n.Account, Day: storage.DayOf(n.Now), Until: toSeconds(n.Until), Reason: n.Reason}
	err := s.writer.do(ctx, func(t *tx) error {
		role, err := t.mayBan(n.Account, n.By, n.Now)
		if err != nil {
			return err
		}
		if role == storage.RoleAdmin {
			if err := t.otherAdmin(n.Account, n.Now); err != nil {
				return err
			}
		}
		if err := t.get(into(&ban.Number), `UPDATE moderation SET bans = bans + 1 WHERE one = 1 RETURNING bans`); err != nil {
			return fmt.Errorf("number ban: %w", err)
		}
		_, err = t.exec(`INSERT INTO bans (account, number, day, until, reason) VALUES (?, ?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET
			number = excluded.number, day = excluded.day, until = excluded.until, reason = excluded.reason`,
			n.Account[:], int64(ban.Number), int64(ban.Day), fromSeconds(ban.Until), blob(n.Reason))
		if err != nil {
			return fmt.Errorf("store ban: %w", err)
		}
		return nil
	})
	if err != nil {
		return storage.Ban{}, err
	}
	return ban, nil
}

// UnbanAccount lifts the ban of an account.
func (s *Store) UnbanAccount(ctx context.Context, account [16]byte, by *[16]byte, now time.Time) error {
	return s.writer.do(ctx, func(t *tx) error {
		if _, err := t.mayBan(account, by, now); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM bans WHERE account = ?`, account[:]); err != nil {
			return fmt.Errorf("lift ban: %w", err)
		}
		return nil
	})
}

// mayBan gives the role of an account, where by may ban it.
func (t *tx) mayBan(account [16]byte, by *[16]byte, now time.Time) (storage.Role, error) {
	role, _, err := t.standing(account, now)
	if err != nil {
		return 0, orUnknown(err, storage.ErrUnknownAccount)
	}
	if by == nil {
		return role, nil
	}
	own, banned, err := t.standing(*by, now)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (banned || *by == account || !own.MayBan(role)) {
		return 0, storage.ErrForbidden
	}
	return role, err
}

// standing gives the role of an account, and whether it is banned.
func (t *tx) standing(account [16]byte, now time.Time) (role storage.Role, banned bool, err error) {
	err = t.get(into(&role, &banned), `SELECT role, EXISTS (SELECT 1 FROM bans WHERE account = a.id AND (until = 0 OR until > ?)) FROM accounts a WHERE a.id = ?`,
		now.Unix(), account[:])
	return role, banned, err
}

// otherAdmin makes sure that there is an admin besides an account.
func (t *tx) otherAdmin(account [16]byte, now time.Time) error {
	var other bool
	// role <> 0 names the index
	err := t.get(into(&other), `SELECT EXISTS (SELECT 1 FROM accounts a WHERE a.role <> 0 AND a.role = ? AND a.id <> ?
		AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.account = a.id AND (b.until = 0 OR b.until > ?)))`, int(storage.RoleAdmin), account[:], now.Unix())
	switch {
	case err != nil:
		return fmt.Errorf("look for admins: %w", err)
	case !other:
		return storage.ErrLastAdmin
	}
	return nil
}

// Bans lists bans.
func (s *Store) Bans(ctx context.Context, after uint64, now time.Time, limit int) ([]storage.Banned, error) {
	var list []storage.Banned
	err := s.reader.each(ctx, func(rows *sql.Rows) error {
		var b storage.Banned
		var account []byte
		var until int64
		if err := rows.Scan(&b.Number, &account, &b.Day, &until, &b.Reason, &b.Name); err != nil {
			return err
		}
		copy(b.Account[:], account)
		b.Until = seconds(until)
		list = append(list, b)
		return nil
	}, `SELECT b.number, b.account, b.day, b.until, b.reason, a.name FROM bans b CROSS JOIN accounts a ON a.id = b.account
		WHERE b.number > ? AND (b.until = 0 OR b.until > ?) ORDER BY b.number LIMIT ?`, int64(min(after, math.MaxInt64)), now.Unix(), limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// LastBan gives the number of the newest ban.
func (s *Store) LastBan(ctx context.Context) (uint64, error) {
	var number uint64
	err := s.reader.get(ctx, into(&number), `SELECT bans FROM moderation WHERE one = 1`)
	return number, err
}

// seconds reads a time that is 0 where there is none, fromSeconds writes it,
// and toSeconds cuts it to what can be stored.
func seconds(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(at, 0)
}

func fromSeconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

func toSeconds(at time.Time) time.Time { return seconds(fromSeconds(at)) }
