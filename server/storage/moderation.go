package storage

import (
	"log/slog"
	"time"
)

// Ban keeps an account out.
type Ban struct {
	Account [16]byte
	// Number orders bans: a new one is behind all that were made before.
	Number uint64
	// Day is when it was made, in seconds since 1970, a multiple of a day.
	Day uint64
	// Until is its end, in whole seconds; zero: it has none.
	Until time.Time
	// Reason is sealed by the caller.
	Reason []byte
}

// InForce tells whether the ban still holds at now.
func (b *Ban) InForce(now time.Time) bool {
	return b != nil && (b.Until.IsZero() || now.Before(b.Until))
}

// Banned is an account with its ban.
type Banned struct {
	Ban
	Name string
}

// NewBan asks to ban an account.
type NewBan struct {
	Account [16]byte
	// By is the operator who asks; nil: whoever has the server's files.
	By *[16]byte
	// Until is cut to seconds; zero: until it is lifted.
	Until  time.Time
	Reason []byte
	Now    time.Time
}

// ReportID tells reports apart: a keyed hash of who reports and what, so that
// the same report again is known as such, and neither can be found from it
// without the key.
type ReportID [32]byte

func (ReportID) String() string         { return "[report]" }
func (r ReportID) LogValue() slog.Value { return slog.StringValue(r.String()) }

// NewReport asks to keep a report.
type NewReport struct {
	ID ReportID
	// Sealed is the report, sealed by the caller for its ID.
	Sealed []byte
	// Quota is what it counts against.
	Quota QuotaKey
	Now   time.Time
}

// Report is a report.
type Report struct {
	// Number is its position, from 1, in the order of arrival.
	Number uint64
	ID     ReportID
	// Day is when it came, in seconds since 1970, a multiple of a day.
	Day uint64
	// Resolution is the caller's; 0: it is open.
	Resolution uint8
	Sealed     []byte
}

// ReportPage asks for a page of reports.
type ReportPage struct {
	Resolved bool
	// After is the number behind which it begins.
	After uint64
	// Limit is at most how many, and MaxBytes how many bytes in all; at least
	// one is given where there is one.
	Limit, MaxBytes int
}
