package client

import (
	"errors"
	"slices"

	"quicprochat/core/vault"
)

// Kinds of outbox items; the numbers are stored. The payload is the serialised
// request.
const (
	outboxPost     uint8 = 1 // a message; without payload it is still to be sealed
	outboxProposal uint8 = 2 // the own removal
	outboxCreate   uint8 = 3
	outboxCommit   uint8 = 4
	outboxRejoin   uint8 = 5 // the commit by which this device comes back
)

// outgoing is an item of the outbox, in memory.
type outgoing struct {
	vault.OutboxItem
	// repeated: an earlier attempt may have reached the server, so that the
	// echo may have come and gone.
	repeated bool
	// answered: the server has taken it, or has refused a commit as stale; what
	// came of it, the queue tells.
	answered bool
	// sending: a call is under way.
	sending bool
	// message is the row that a post carries, where it is at hand.
	message *vault.Message
	// notBefore is the epoch to catch up with before it is sealed anew.
	notBefore uint64
	failures  int
	// owes is how many tokens a commit lacks.
	owes int

	// For commits: done is closed when it is known what came of it.
	done    chan struct{}
	outcome error
}

func newOutgoing(item vault.OutboxItem, repeated bool) *outgoing {
	return &outgoing{OutboxItem: item, repeated: repeated, done: make(chan struct{})}
}

func (out *outgoing) resolve(outcome error) {
	select {
	case <-out.done:
	default:
		out.outcome = outcome
		close(out.done)
	}
}

// enqueue adds an item to the outbox.
func (t *transaction) enqueue(out *outgoing) error {
	if err := t.AddOutbox(&out.OutboxItem); err != nil {
		return err
	}
	t.after(func() { t.v.outbox = append(t.v.outbox, out) })
	return nil
}

// dequeue removes an item from the outbox.
func (t *transaction) dequeue(out *outgoing, outcome error) error {
	if err := t.RemoveOutbox(out.ID); err != nil {
		return err
	}
	if out.Kind == outboxCommit && outcome != nil {
		if err := t.refund(out); err != nil {
			return err
		}
	}
	t.after(func() {
		t.v.outbox = slices.DeleteFunc(t.v.outbox, func(o *outgoing) bool { return o == out })
		out.resolve(outcome)
	})
	return nil
}

// fail gives an item up, and says so at its message.
func (t *transaction) fail(out *outgoing, why error) error {
	if out.Kind == outboxPost {
		m, err := t.MessageByID(t.v.id, out.MessageID)
		switch {
		case errors.Is(err, vault.ErrNotFound):
		case err != nil:
			return err
		case m.State == vault.MessageQueued:
			m.State, m.Error = vault.MessageFailed, UserMessage(why)
			if err := t.UpdateMessage(&m); err != nil {
				return err
			}
			t.changed = append(t.changed, m)
		}
	}
	return t.dequeue(out, why)
}

// confirm marks a post as sent and gives its message its place.
func (t *transaction) confirm(out *outgoing, seq uint64) error {
	if out.Kind == outboxPost {
		m, err := t.MessageByID(t.v.id, out.MessageID)
		if err != nil && !errors.Is(err, vault.ErrNotFound) {
			return err
		}
		if err == nil {
			m.State, m.Seq, m.Error = vault.MessageSent, seq, ""
			if err := t.UpdateMessage(&m); err != nil {
				return err
			}
			t.changed = append(t.changed, m)
		}
	}
	return t.dequeue(out, nil)
}

// byItem finds an item of the outbox.
func (v *conversation) byItem(id []byte) *outgoing {
	for _, out := range v.outbox {
		if string(out.ItemID[:]) == string(id) {
			return out
		}
	}
	return nil
}

// committing is the own commit that waits to be decided, or nil.
func (v *conversation) committing() *outgoing {
	for _, out := range v.outbox {
		if out.Kind == outboxCommit {
			return out
		}
	}
	return nil
}

// next is the first item that can go out now, or nil.
func (v *conversation) next() *outgoing {
	for _, out := range v.outbox {
		switch {
		case out.answered, (out.Kind == outboxRejoin) != (v.row.State == stateBroken):
			continue
		case out.Kind == outboxPost && v.notes.Creating, v.epoch < out.notBefore:
			// Later items stay behind it, but for what it waits for.
			if commit := v.committing(); commit != nil && !commit.answered {
				return commit
			}
			return nil
		default:
			return out
		}
	}
	return nil
}
