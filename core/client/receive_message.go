package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// receiveMessage takes in what a member posted.
func (v *conversation) receiveMessage(ctx context.Context, item *qpcv1.QueueItem, m *qpcv1.ChannelMessage) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if out := v.byItem(item.ItemId); out != nil && out.Kind != outboxCommit {
		return v.takeIn(ctx, func(t *transaction) error {
			t.seen = item.Seq
			return t.confirm(out, m.ChannelSeq)
		})
	}
	if !v.following() {
		return v.c.skip(ctx, item)
	}
	if err := v.open(ctx); err != nil {
		return v.unopened(ctx, item, err)
	}
	if m.Epoch > v.epoch {
		return v.refuse(ctx, item, mls.ErrFutureEpoch) // the commits before it are lost
	}
	result, err := v.group.Process(m.MlsMessage)
	if err != nil {
		return v.unreadable(ctx, item, m.ChannelSeq, nil, err)
	}
	switch r := result.(type) {
	case *mls.Application:
		return v.receiveText(ctx, item, m.ChannelSeq, r)
	case *mls.ReceivedProposal:
		return v.receiveProposal(ctx, item, r)
	default:
		// A commit that is not one of the channel's: it decides nothing.
		v.close()
		return v.skip(ctx, item)
	}
}

// receiveText stores a message.
func (v *conversation) receiveText(ctx context.Context, item *qpcv1.QueueItem, seq uint64, a *mls.Application) error {
	sender, err := accountOf(a.SenderLeaf)
	if err != nil {
		return v.unreadable(ctx, item, seq, nil, err)
	}
	if v.wasRemoved(a) {
		v.c.log.Info("message of a removed member dropped")
		return v.skip(ctx, item)
	}
	content, evidence, err := openText(sender, a)
	if err != nil {
		return v.unreadable(ctx, item, seq, &sender, err)
	}
	m := vault.Message{
		MessageID: content.id, Sender: sender, Kind: vault.MessageText, Body: content.body,
		SentAt: earlier(content.sentAt, v.c.now()), ReceivedAt: v.c.receivedAt(item), Seq: seq,
		State: vault.MessageReceived, Unread: true,
	}
	if sender == v.c.self.account() { // on another device
		m.State, m.Unread = vault.MessageSent, false
	}
	return v.takeIn(ctx, func(t *transaction) error {
		t.seen = item.Seq
		if v.notes.Leaving {
			return nil
		}
		m.Conversation = v.id
		err := t.InsertMessage(&m)
		if errors.Is(err, vault.ErrDuplicate) {
			return nil // sent again by somebody who did not know that it had arrived
		}
		if err != nil {
			return err
		}
		t.added = append(t.added, m)
		return t.PutEvidence(m, evidence)
	})
}

// wasRemoved tells whether the sender posted under the key of an earlier epoch after
// it had been removed. The queue has the channel's order, but for own commits that
// were merged before the queue brought them: what comes until then came first.
func (v *conversation) wasRemoved(a *mls.Application) bool {
	now, ok := v.group.Member(a.Sender)
	return len(v.notes.Ahead) == 0 && (!ok || !bytes.Equal(now.SignatureKey, a.SenderLeaf.SignatureKey))
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}

// receiveProposal remembers who wants to leave. No other proposal of another
// member, and none from outside, is ever committed by reference, so others are not
// even kept.
func (v *conversation) receiveProposal(ctx context.Context, item *qpcv1.QueueItem, p *mls.ReceivedProposal) error {
	if p.From != mls.SenderMember || p.Kind != mls.ProposalSelfRemove || v.notes.Leaving {
		v.close()
		return v.skip(ctx, item)
	}
	err := v.takeIn(ctx, func(t *transaction) error {
		t.seen = item.Seq
		t.notes.Leavers = append(t.notes.Leavers, p.Sender)
		return nil
	})
	if err == nil {
		v.commitLeaversSoon()
	}
	return err
}

// unreadable skips a message that could not be read, and says so where that is
// not an ordinary thing. Nothing has changed in the group.
func (v *conversation) unreadable(ctx context.Context, item *qpcv1.QueueItem, seq uint64, sender *AccountID, why error) error {
	if ordinary(why) {
		return v.c.skip(ctx, item)
	}
	v.c.log.Warn("message not readable", "error", fmt.Sprintf("%T", errors.Unwrap(why)))
	return v.takeIn(ctx, func(t *transaction) error {
		t.seen = item.Seq
		if t.notes.Leaving || v.saidUnreadable(t.Tx) {
			return nil
		}
		e := SystemEvent{Kind: EventUnreadable}
		if sender != nil {
			e.Actor = t.person(*sender)
		}
		return t.record(e, seq)
	})
}

// ordinary tells whether a message may fail to be read without anything being
// wrong: it came twice, it is one's own, or it is from before one joined.
func ordinary(err error) bool {
	return errors.Is(err, mls.ErrAlreadyUsed) || errors.Is(err, mls.ErrOwnMessage) || errors.Is(err, mls.ErrOldEpoch)
}

// saidUnreadable tells whether the conversation ends with that very event: one
// is enough for however many in a row.
func (v *conversation) saidUnreadable(tx *vault.Tx) bool {
	row, err := tx.Conversation(v.id)
	if err != nil || row.Last == nil || row.Last.Kind != vault.MessageEvent {
		return false
	}
	return v.c.people.event(row.Last.Text).Kind == EventUnreadable
}
