package client

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
)

// transaction is one change of a conversation: whatever belongs together is in
// the vault together, and only then becomes true in memory and is told.
type transaction struct {
	*vault.Tx
	v     *conversation
	row   vault.Conversation
	notes notes
	// seen is the queue item that brought the change; 0 for none.
	seen uint64
	// drop deletes the group's records and forgets it.
	drop bool
	// added and changed are told as events.
	added, changed []vault.Message
	contacts       []vault.Contact
	// then runs when the transaction is committed, still under v.mu.
	then []func()
}

// write runs fn in a vault transaction, together with what has changed in the
// group since the last one. The caller holds v.mu and has opened the group
// where fn needs it. After an error nothing has changed: the group is dropped
// from memory, as it may be ahead of the vault.
func (v *conversation) write(ctx context.Context, fn func(t *transaction) error) error {
	return v.persist(ctx, false, fn)
}

// takeIn is write for what an item of the queue brought. It does not wait for
// the disk: the server keeps the item until it is acknowledged, and a sync goes
// before that. After a power cut the vault stands at an earlier item, whole,
// and the later ones come again.
func (v *conversation) takeIn(ctx context.Context, fn func(t *transaction) error) error {
	return v.persist(ctx, true, fn)
}

func (v *conversation) persist(ctx context.Context, received bool, fn func(t *transaction) error) error {
	t := &transaction{v: v, row: v.row, notes: cloneNotes(v.notes)}
	var summary vault.Conversation
	update := v.c.vault.Update
	if received {
		update = v.c.vault.UpdateUnsynced
	}
	err := update(ctx, func(tx *vault.Tx) (err error) {
		t.Tx = tx
		if err := fn(t); err != nil {
			return err
		}
		if err := t.finish(); err != nil {
			return err
		}
		if t.visible() {
			summary, err = tx.Conversation(v.id)
		}
		return err
	})
	if err != nil {
		v.close()
		return err
	}
	visible := t.visible()
	v.row, v.notes = t.row, t.notes
	v.c.people.add(t.contacts...)
	if t.drop {
		v.close()
	}
	if t.seen > 0 {
		v.c.status.setCursor(t.seen)
	}
	for _, f := range t.then {
		f()
	}
	v.tell(t, visible, summary)
	return nil
}

// finish writes what every transaction has in common.
func (t *transaction) finish() error {
	if err := t.putRow(); err != nil {
		return err
	}
	if err := putContacts(t.Tx, t.contacts); err != nil {
		return err
	}
	if t.drop {
		if err := t.DeleteMLS(t.v.id); err != nil {
			return err
		}
	} else if t.v.group != nil {
		if err := t.PutMLS(t.v.id, records(t.v.group.TakeChanges())); err != nil {
			return err
		}
	}
	return t.putCursor()
}

// putRow writes the conversation's row where it has changed.
func (t *transaction) putRow() error {
	data, err := json.Marshal(t.notes)
	if err != nil {
		return err
	}
	t.row.Data = data
	if equalRows(t.row, t.v.row) {
		return nil
	}
	return t.PutConversation(t.row)
}

func (t *transaction) putCursor() error {
	if t.seen == 0 {
		return nil
	}
	return putCursor(t.Tx, t.seen)
}

func putCursor(tx *vault.Tx, seq uint64) error {
	return tx.PutSetting(settingCursor, binary.BigEndian.AppendUint64(nil, seq))
}

// visible tells whether a reader of events has anything to see.
func (t *transaction) visible() bool {
	return len(t.added)+len(t.changed) > 0 || t.notes.CanManage != t.v.notes.CanManage || !sameLook(t.row, t.v.row)
}

func (v *conversation) tell(t *transaction, visible bool, summary vault.Conversation) {
	for _, m := range t.added {
		v.c.events.publish(MessageAdded{v.c.message(m, false)})
	}
	for _, m := range t.changed {
		v.c.events.publish(MessageChanged{v.c.message(m, false)})
	}
	if visible {
		v.c.events.publish(ConversationChanged{v.c.summary(summary)})
	}
}

// insert adds a message.
func (t *transaction) insert(m vault.Message) error {
	m.Conversation = t.v.id
	if err := t.InsertMessage(&m); err != nil {
		return err
	}
	t.added = append(t.added, m)
	return nil
}

// record adds a system event. seq places it in the channel's order; 0 puts it
// behind what is there.
func (t *transaction) record(e SystemEvent, seq uint64) error {
	now := t.v.c.now()
	return t.insert(vault.Message{
		MessageID: random16(), Sender: e.Actor.AccountID, Kind: vault.MessageEvent, Body: e.marshal(),
		SentAt: now, ReceivedAt: now, Seq: seq, State: vault.MessageReceived,
	})
}

// after runs f when the transaction is on disk.
func (t *transaction) after(f func()) { t.then = append(t.then, f) }

func records(changes []mls.Change) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for _, c := range changes {
			if !yield(c.Key, c.Value) {
				return
			}
		}
	}
}

// end makes the conversation read-only for good: the keys go, and what was
// still to be sent fails.
func (t *transaction) end(state vault.ConversationState, why error) error {
	t.row.State, t.notes, t.drop = state, notes{Last: t.last()}, true
	return errors.Join(t.failAll(why), t.DeleteMLS(returnID(t.v.id)))
}

// last is the newest epoch that the group is known to have been in.
func (t *transaction) last() uint64 { return max(t.notes.Last, t.v.epoch) }

// breakOff stops following the group. Its keys stay for the way back, on which this
// device goes by itself, and so does what waits to be sent. Where they are damaged
// there is none: who is in the group cannot be told.
func (t *transaction) breakOff(reason error) error {
	if t.notes.Leaving {
		return t.end(vault.ConversationLeft, ErrNotMember)
	}
	t.row.State, t.notes = stateBroken, notes{Last: t.last()}
	if err := t.record(SystemEvent{Kind: EventBroken, Reason: brokenReason(reason)}, 0); err != nil {
		return err
	}
	t.after(t.v.close)
	if errors.Is(reason, ErrProfileCorrupt) {
		return t.failAll(fmt.Errorf("%w: %w", ErrBroken, reason))
	}
	t.notes.Healing = &healing{Since: t.v.c.now()}
	t.after(func() { wake(t.v.c.start) })
	for _, out := range t.v.outbox {
		if err := t.keepPost(out, reason); err != nil {
			return err
		}
	}
	return nil
}

// keepPost keeps a post to be sealed anew in another epoch, and fails what else is
// in the outbox.
func (t *transaction) keepPost(out *outgoing, reason error) error {
	if out.Kind != outboxPost {
		return t.fail(out, fmt.Errorf("%w: %w", ErrBroken, reason))
	}
	item := out.OutboxItem
	item.Payload = nil
	t.after(func() { out.Payload, out.notBefore, out.answered, out.repeated = nil, 0, false, true })
	return t.UpdateOutbox(item)
}

// failPosts fails the messages that wait to be sent.
func (t *transaction) failPosts(why error) error {
	for _, out := range t.v.outbox {
		if out.Kind != outboxPost {
			continue
		}
		if err := t.fail(out, why); err != nil {
			return err
		}
	}
	return nil
}

// failAll fails everything that waits to be sent.
func (t *transaction) failAll(why error) error {
	for _, out := range t.v.outbox {
		if err := t.fail(out, why); err != nil {
			return err
		}
	}
	return nil
}
