package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/blob"
	"quicprochat/server/storage"
)

// The parts of a server that can be in trouble each on its own.
const (
	partServing = "serving"
	partStore   = "store"
	partDisk    = "disk"
	partBlobs   = "blobs"
	partBus     = "bus"
	partClock   = "clock"
)

// calmTime is for how long nothing must fail for a trouble to be over. Calls
// that fail come again sooner.
const calmTime = 30 * time.Second

// troubles knows which parts of the server are in trouble. It writes a line to
// the log when a trouble begins and one when it is over, however many calls
// fail in between.
type troubles struct {
	log    *slog.Logger
	meters *meters
	now    func() time.Time // keeps going when the clock is set
	calm   time.Duration

	mu     sync.Mutex
	active map[string]*trouble
}

type trouble struct {
	what        error
	began, last time.Time
	failures    int
}

func newTroubles(log *slog.Logger, m *meters) *troubles {
	return &troubles{log: log, meters: m, now: time.Now, calm: calmTime, active: make(map[string]*trouble)}
}

// happened notes that something failed because a part is in trouble.
func (t *troubles) happened(part string, err error) {
	t.meters.failures.Add(1, part)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	b := t.active[part]
	if b == nil {
		t.log.Error("trouble begins", "part", part, "error", err)
		b = &trouble{began: now}
		t.active[part] = b
	}
	if b.what == nil || !b.stays() {
		b.what = err
	}
	b.last = now
	b.failures++
}

// stays tells that a trouble does not go away by itself: damage is not over
// because nobody has come across it for a while.
func (b *trouble) stays() bool { return errors.Is(b.what, storage.ErrDamaged) }

// fine notes that a part was looked at and nothing found. That ends its
// trouble when nothing has failed for a while.
func (t *troubles) fine(part string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	b := t.active[part]
	if b == nil || b.stays() || now.Sub(b.last) < t.calm {
		return
	}
	delete(t.active, part)
	t.log.Info("trouble is over", "part", part, "lasted", now.Sub(b.began).Round(time.Second), "failures", b.failures)
}

// of returns what is the matter with a part, or nil.
func (t *troubles) of(part string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.active[part]; b != nil {
		return b.what
	}
	return nil
}

// partOf tells which part an error puts into trouble; "" for an error that is
// about something else.
func partOf(err error) string {
	switch {
	case errors.Is(err, blob.ErrObjects):
		return partBlobs
	case storage.TroubleOf(err) != nil:
		return partStore
	}
	return ""
}

// troubleHandler keeps lines out of the log that say again what a trouble's
// first line has said.
type troubleHandler struct {
	slog.Handler
	troubles *troubles
}

func (h troubleHandler) Handle(ctx context.Context, r slog.Record) error {
	repeated := false
	if r.Level >= slog.LevelWarn {
		r.Attrs(func(a slog.Attr) bool {
			err, ok := a.Value.Any().(error)
			if !ok {
				return true
			}
			if part := partOf(err); part != "" {
				h.troubles.happened(part, err)
				repeated = true
			}
			return !repeated
		})
	}
	if repeated {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h troubleHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return troubleHandler{h.Handler.WithAttrs(attrs), h.troubles}
}

func (h troubleHandler) WithGroup(name string) slog.Handler {
	return troubleHandler{h.Handler.WithGroup(name), h.troubles}
}

// explain turns what a handler could not do into what its caller is told:
// where the store is in trouble, that trying again later is all that is needed.
func (s *Server) explain(_ wire.Method, err error) *wire.Error {
	if errors.Is(err, storage.ErrClosed) {
		return &wire.Error{Code: qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE, Message: "The server is stopping. Try again in a moment.", RetryAfter: time.Second}
	}
	trouble := storage.TroubleOf(err)
	if trouble == nil {
		return nil
	}
	s.troubles.happened(partStore, err)
	e := &wire.Error{Code: qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE, RetryAfter: 5 * time.Second}
	switch trouble {
	case storage.ErrFull:
		e.Message = "The server has no space left. What you send waits here until it has."
	case storage.ErrBusy:
		e.Message, e.RetryAfter = "The server has too much to do. It is asked again in a moment.", 2*time.Second
	case storage.ErrUnreachable:
		e.Message, e.RetryAfter = "The server cannot reach its database. It is asked again in a moment.", 2*time.Second
	case storage.ErrDamaged:
		e.Message, e.RetryAfter = "The server's database is damaged. Tell whoever runs it.", 30*time.Second
	default:
		e.Message = "The server cannot write to its disk. What you send waits here until it can."
	}
	return e
}
