package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Role is what an account may do on its server beyond its own things.
type Role string

// The roles.
const (
	RoleUser Role = "user"
	// RoleModerator sees reports, and bans users.
	RoleModerator Role = "moderator"
	// RoleAdmin bans moderators and other admins, too.
	RoleAdmin Role = "admin"
)

// Operates tells whether the role may use an [Operator].
func (r Role) Operates() bool { return r == RoleModerator || r == RoleAdmin }

// MyRole asks the server which role the account has now. Errors: ErrOffline.
func (c *Client) MyRole(ctx context.Context) (Role, error) {
	var m qpcv1.GetRoleResponse
	if err := c.account.call(ctx, &qpcv1.GetRoleRequest{}, &m); err != nil {
		return "", c.closedOr(err)
	}
	switch m.Role {
	case qpcv1.Role_ROLE_ADMIN:
		return RoleAdmin, nil
	case qpcv1.Role_ROLE_MODERATOR:
		return RoleModerator, nil
	default:
		return RoleUser, nil
	}
}

// Operator is what moderators and admins of the server can do. Every method
// needs a connection (ErrOffline) and asks the server, which looks at the role
// each time (ErrRoleRequired).
type Operator struct{ c *Client }

// Operator returns the operators' methods. Whether they work, MyRole tells.
func (c *Client) Operator() Operator { return Operator{c} }

// Resolution says what came of a report.
type Resolution uint8

const (
	// ReportOpen is a report that nobody has looked at.
	ReportOpen Resolution = 0
	// ReportDismissed: nothing needed to be done.
	ReportDismissed Resolution = 1
	// ReportActed: something was done about it.
	ReportActed Resolution = 2
)

// Report is a message that somebody has reported. The server has verified who
// sent it; who reported it, it does not tell.
type Report struct {
	Number uint64
	// Sender is the account that sent the message, and SenderName its name,
	// empty where the account is gone.
	Sender     AccountID
	SenderName string
	// Banned tells that the sender is banned now.
	Banned bool
	// DeviceGone tells that the message came from a device that the sender had
	// revoked by the time of the report: somebody else may have it.
	DeviceGone bool
	Text       string
	// SentAt is by the sender's clock.
	SentAt   time.Time
	Category Category
	Note     string
	// Day is when it was reported.
	Day        time.Time
	Resolution Resolution
}

// Reports gives a page of the reports that are open, or of those that are
// resolved, the oldest first: those behind the number after, 0 for the first,
// at most limit, 0 for 50. more tells that others follow.
func (o Operator) Reports(ctx context.Context, resolved bool, after uint64, limit int) (reports []Report, more bool, err error) {
	var m qpcv1.ListReportsResponse
	req := &qpcv1.ListReportsRequest{Resolved: resolved, After: after, Limit: uint32(max(limit, 0))}
	if err := o.c.account.call(ctx, req, &m); err != nil {
		return nil, false, o.c.closedOr(err)
	}
	for _, raw := range m.Reports {
		r, err := readReport(raw)
		if err != nil {
			return nil, false, err
		}
		reports = append(reports, r)
	}
	return reports, m.More, nil
}

func readReport(m *qpcv1.Report) (Report, error) {
	sender, err := identity.ParseAccountID(m.AccountId)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	r := Report{
		Number: m.Number, Sender: sender, SenderName: m.Name, Banned: m.Banned, DeviceGone: m.DeviceGone,
		Category: CategoryOther, Note: m.Note, Day: unixTime(m.Day), Resolution: Resolution(m.Resolution),
	}
	for category, on := range wireCategories {
		if on == m.Category {
			r.Category = category
		}
	}
	t, err := parseText(m.Content)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	r.Text, r.SentAt = t.body, t.sentAt
	return r, nil
}

// Resolve says what came of a report; the last word counts. Errors:
// ErrUnknownReport.
func (o Operator) Resolve(ctx context.Context, number uint64, resolution Resolution) error {
	req := &qpcv1.ResolveReportRequest{Number: number, Resolution: qpcv1.Report_Resolution(resolution)}
	return o.c.closedOr(o.c.account.call(ctx, req, new(qpcv1.ResolveReportResponse)))
}

// Ban keeps an account out until a time, or until the ban is lifted where that
// is zero, and ends its connections. reason is for other operators and may be
// empty. Banning it again sets both anew. What the account has sent stays, and
// its conversations have it as a member until they remove it.
//
// Errors: ErrUnknownUser, ErrRoleRequired (moderators ban users only, and
// nobody themselves), ErrLastAdmin, ErrNoteInvalid.
func (o Operator) Ban(ctx context.Context, account AccountID, until time.Time, reason string) error {
	if err := checkNote(reason); err != nil {
		return err
	}
	req := &qpcv1.BanUserRequest{AccountId: account.Bytes(), Reason: reason}
	if !until.IsZero() {
		req.Until = uint64(max(until.Unix(), 1))
	}
	return o.c.closedOr(o.c.account.call(ctx, req, new(qpcv1.BanUserResponse)))
}

// Unban lifts a ban. An account without one is no error. Errors as in Ban.
func (o Operator) Unban(ctx context.Context, account AccountID) error {
	return o.c.closedOr(o.c.account.call(ctx, &qpcv1.UnbanUserRequest{AccountId: account.Bytes()}, new(qpcv1.UnbanUserResponse)))
}

// Banned is an account that is kept out.
type Banned struct {
	// Number is for the next page.
	Number    uint64
	AccountID AccountID
	Name      string
	Reason    string
	// Day is when it was banned.
	Day time.Time
	// Until is when the ban ends; zero: it has no end.
	Until time.Time
}

// Banned gives a page of the bans in force, in the order in which they were
// made: those behind the number after, 0 for the first, at most limit, 0 for
// 100. more tells that others follow.
func (o Operator) Banned(ctx context.Context, after uint64, limit int) (banned []Banned, more bool, err error) {
	var m qpcv1.ListBannedResponse
	req := &qpcv1.ListBannedRequest{After: after, Limit: uint32(max(limit, 0))}
	if err := o.c.account.call(ctx, req, &m); err != nil {
		return nil, false, o.c.closedOr(err)
	}
	for _, b := range m.Banned {
		id, err := identity.ParseAccountID(b.AccountId)
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
		}
		entry := Banned{Number: b.Number, AccountID: id, Name: b.Name, Reason: b.Reason, Day: unixTime(b.Day)}
		if b.Until > 0 {
			entry.Until = unixTime(b.Until)
		}
		banned = append(banned, entry)
	}
	return banned, m.More, nil
}

// Find looks up the account of a name, banned or not, for Ban and Unban. Errors:
// ErrUnknownUser.
func (o Operator) Find(ctx context.Context, name string) (AccountID, error) {
	name = cleanName(name)
	var m qpcv1.ResolveUserResponse
	err := o.c.anonymous.call(ctx, &qpcv1.ResolveUserRequest{Name: name}, &m)
	if errors.Is(err, ErrUnknownUser) { // as others are told of a banned one
		return o.findBanned(ctx, name)
	}
	if err != nil {
		return AccountID{}, o.c.closedOr(err)
	}
	id, err := identity.ParseAccountID(m.AccountId)
	if err != nil {
		return AccountID{}, fmt.Errorf("%w: %w", ErrServerIncompatible, err)
	}
	return id, nil
}

func (o Operator) findBanned(ctx context.Context, name string) (AccountID, error) {
	for after, more := uint64(0), true; more; {
		var page []Banned
		var err error
		if page, more, err = o.Banned(ctx, after, 0); err != nil {
			return AccountID{}, err
		}
		for _, b := range page {
			if b.Name == name {
				return b.AccountID, nil
			}
			after = b.Number
		}
		more = more && len(page) > 0
	}
	return AccountID{}, ErrUnknownUser
}

func unixTime(seconds uint64) time.Time {
	return time.Unix(int64(min(seconds, maxSeconds)), 0).UTC()
}

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799
