package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// askPatience is how long a member may take to answer before another is asked.
	askPatience = time.Minute
	// maxAsked is how many members are asked in one round.
	maxAsked = 3
	// firstRound and lastRound bound the time between two rounds.
	firstRound = 2 * time.Minute
	lastRound  = 6 * time.Hour
	// rejoinLifetime is how long requests and answers are good: also the answer of a
	// member that comes online hours later.
	rejoinLifetime = 24 * time.Hour
	// maxRemembered bounds the requests that are remembered.
	maxRemembered = 24
)

// healing is how far this device has come on the way back into a group.
type healing struct {
	// Since is when it stopped following.
	Since time.Time `json:"since"`
	// Asked are the members that were asked lately, the last Round of them in this
	// round.
	Asked []asked `json:"asked,omitempty"`
	Round int     `json:"round,omitempty"`
	// Rounds is how many were in vain, and Next when to go on.
	Rounds int       `json:"rounds,omitempty"`
	Next   time.Time `json:"next,omitzero"`
	// Bare: the server does not know the address of some member.
	Bare bool `json:"bare,omitempty"`
}

// asked is a member's device that was asked for the way back.
type asked struct {
	Device  [16]byte  `json:"device"`
	Request [16]byte  `json:"request"`
	At      time.Time `json:"at"`
	// Done: nothing more is expected of it.
	Done bool `json:"done,omitempty"`
}

func (h *healing) clone() *healing {
	if h == nil {
		return nil
	}
	c := *h
	c.Asked = slices.Clone(h.Asked)
	return &c
}

// pauseRound ends a round. The next begins later the more were in vain, and not for
// all devices at the same time.
func (h *healing) pauseRound(now time.Time) {
	delay := min(firstRound<<min(h.Rounds, 10), lastRound)
	h.Rounds++
	h.Round, h.Next = 0, now.Add(delay/2+jitter(delay/2))
}

// waits tells whether the last one that was asked may still answer soon.
func (h *healing) waits(now time.Time) bool {
	if h.Round == 0 || len(h.Asked) == 0 {
		return false
	}
	last := h.Asked[len(h.Asked)-1]
	return !last.Done && now.Before(last.At.Add(askPatience))
}

// ask notes that a device is asked, and forgets requests that are too old.
func (h *healing) ask(device DeviceID, now time.Time) (request [16]byte) {
	h.Asked = slices.DeleteFunc(h.Asked, func(a asked) bool { return now.After(a.At.Add(rejoinLifetime)) })
	h.Asked = append(h.Asked, asked{Device: device, Request: random16(), At: now})
	h.Asked = h.Asked[max(0, len(h.Asked)-maxRemembered):]
	h.Round++
	return h.Asked[len(h.Asked)-1].Request
}

// inRound tells whether a device was asked in this round.
func (h *healing) inRound(device DeviceID) bool {
	return slices.ContainsFunc(h.Asked[max(0, len(h.Asked)-h.Round):], func(a asked) bool { return a.Device == [16]byte(device) })
}

// asked tells how often a device was asked lately.
func (h *healing) asked(leaf *mls.LeafNode) (n int) {
	device := identity.DeviceIDOf(leaf.SignatureKey)
	for _, a := range h.Asked {
		if DeviceID(a.Device) == device {
			n++
		}
	}
	return n
}

// heal goes on with the way back into every group that this device has lost.
func (c *Client) heal(ctx context.Context) error {
	var errs []error
	for _, v := range c.all() {
		errs = append(errs, v.heal(ctx))
	}
	return errors.Join(errs...)
}

// heal asks a member, where it is time to.
func (v *conversation) heal(ctx context.Context) error {
	for range maxAsked {
		leaf, request, err := v.chooseHealer(ctx)
		if err != nil || leaf == nil {
			return err
		}
		err = v.c.tell(ctx, leaf, &qpcv1.ContactBody{Body: &qpcv1.ContactBody_RejoinRequest{
			RejoinRequest: &qpcv1.RejoinRequest{ChannelId: v.id[:], RequestId: request[:]},
		}}, v.c.now().Add(rejoinLifetime))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrOffline), ctx.Err() != nil:
			return errors.Join(err, v.unask(context.WithoutCancel(ctx), request))
		case errors.Is(err, ErrContactQuota):
			return err
		}
		v.c.log.Info("a member cannot be asked", "error", err) // such as for a removed device
		if err := v.giveUpOn(ctx, request); err != nil {
			return err
		}
	}
	return nil
}

// mayHeal tells whether this device is on its way back and has not found it yet.
func (v *conversation) mayHeal() bool {
	return v.row.State == stateBroken && v.notes.Healing != nil && !slices.ContainsFunc(v.outbox, func(out *outgoing) bool {
		return out.Kind == outboxRejoin
	})
}

// chooseHealer picks the member to ask now and notes that it is asked; nil where
// nobody is to be.
func (v *conversation) chooseHealer(ctx context.Context) (*mls.LeafNode, [16]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now, none := v.c.now(), [16]byte{}
	if !v.mayHeal() || v.c.status.ended() != nil || now.Before(v.notes.Healing.Next) {
		return nil, none, nil
	}
	if v.notes.Healing.waits(now) {
		return nil, none, nil
	}
	if err := v.open(ctx); err != nil {
		return nil, none, err
	}
	defer v.close()
	h := v.notes.Healing.clone()
	candidates := v.healers(h)
	if len(candidates) == 0 || h.Round >= maxAsked {
		h.pauseRound(now)
		return nil, none, v.putHealing(ctx, h)
	}
	leaf := candidates[0]
	request := h.ask(identity.DeviceIDOf(leaf.SignatureKey), now)
	return leaf, request, v.putHealing(ctx, h)
}

func (v *conversation) putHealing(ctx context.Context, h *healing) error {
	return v.write(ctx, func(t *transaction) error {
		t.notes.Healing = h
		return nil
	})
}

// healers lists the members that can be asked, in a random order but for this: the
// account's own other devices first, which are believed most, then administrators,
// whose word on who is a member counts. Who was asked before comes after all others:
// those may be gone for good.
func (v *conversation) healers(h *healing) []*mls.LeafNode {
	var classes [3][]*mls.LeafNode
	for m := range v.group.Members() {
		account, err := accountOf(m.LeafNode)
		device := identity.DeviceIDOf(m.SignatureKey)
		if err != nil || m.Index == v.group.OwnIndex() || h.inRound(device) {
			continue
		}
		class := 2
		switch {
		case account == v.c.self.account():
			class = 0
		case v.state.isAdmin(account):
			class = 1
		}
		classes[class] = append(classes[class], m.LeafNode)
	}
	for _, list := range classes {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	all := slices.Concat(classes[:]...)
	slices.SortStableFunc(all, func(a, b *mls.LeafNode) int { return cmp.Compare(h.asked(a), h.asked(b)) })
	return all
}

// unask forgets a request that did not go out.
func (v *conversation) unask(ctx context.Context, request [16]byte) error {
	return v.changeAsked(ctx, request, func(h *healing, i int) {
		h.Asked = slices.Delete(h.Asked, i, i+1)
		h.Round = max(0, h.Round-1)
	})
}

// giveUpOn waits no longer for an answer to a request.
func (v *conversation) giveUpOn(ctx context.Context, request [16]byte) error {
	return v.changeAsked(ctx, request, func(h *healing, i int) { h.Asked[i].Done = true })
}

func (v *conversation) changeAsked(ctx context.Context, request [16]byte, change func(h *healing, i int)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.mayHeal() {
		return nil
	}
	h := v.notes.Healing.clone()
	i := slices.IndexFunc(h.Asked, func(a asked) bool { return a.Request == request })
	if i < 0 {
		return nil
	}
	change(h, i)
	return v.putHealing(ctx, h)
}

// asking tells whether a device was asked with a request.
func (v *conversation) asking(device DeviceID, request []byte) bool {
	return v.mayHeal() && slices.ContainsFunc(v.notes.Healing.Asked, func(a asked) bool {
		return !a.Done && a.Device == [16]byte(device) && bytes.Equal(a.Request[:], request)
	})
}

// returned makes the group, that this device has come back to by its commit, the
// conversation's: the server has made the commit the epoch's. seen is the queue
// item that said so, or 0.
func (v *conversation) returned(ctx context.Context, out *outgoing, seq, seen uint64) error {
	if err := v.open(ctx); err != nil && !errors.Is(err, ErrProfileCorrupt) {
		return err
	}
	accounts, title := v.accounts, v.state.title // none where the old group is damaged
	v.close()
	epoch := v.epoch
	err := v.write(ctx, func(t *transaction) error {
		t.seen = seen
		if err := t.takeOverReturn(); err != nil {
			return err
		}
		if err := t.dequeue(out, nil); err != nil {
			return err
		}
		from := t.notes.Healing.Since
		t.row.State = vault.ConversationActive
		t.notes = notes{NewHere: true, Last: t.last()}
		if seen == 0 {
			t.notes.Ahead = []aheadCommit{{v.group.Epoch() - 1, out.ItemID[:]}}
		}
		t.describe()
		t.after(func() {
			for _, waiting := range v.outbox {
				waiting.notBefore, waiting.answered = 0, false
			}
			wake(v.c.start)
		})
		if err := t.record(SystemEvent{Kind: EventReturned, From: from, Until: v.c.now()}, seq); err != nil {
			return err
		}
		return t.recordMeanwhile(accounts, title, seq)
	})
	if err != nil {
		v.epoch = epoch
		return err
	}
	v.moved()
	return nil
}

// recordMeanwhile tells who came and went while this device was away, and the title:
// what has waited, and all that follows, is read by whoever is there now. Whose doing
// it was nobody has told.
func (t *transaction) recordMeanwhile(before map[AccountID]int, title string, seq uint64) error {
	if before == nil {
		return nil
	}
	now := t.v
	missing := func(from, to map[AccountID]int) []Person {
		var ids []AccountID
		for id := range from {
			if to[id] == 0 {
				ids = append(ids, id)
			}
		}
		slices.SortFunc(ids, func(a, b AccountID) int { return bytes.Compare(a[:], b[:]) })
		return t.persons(ids)
	}
	var events []SystemEvent
	if came := missing(now.accounts, before); len(came) > 0 {
		events = append(events, SystemEvent{Kind: EventAdded, Subjects: came})
	}
	if went := missing(before, now.accounts); len(went) > 0 {
		events = append(events, SystemEvent{Kind: EventLeft, Subjects: went})
	}
	if now.state.title != title {
		events = append(events, SystemEvent{Kind: EventRenamed, Title: now.state.title})
	}
	for _, e := range events {
		if err := t.record(e, seq); err != nil {
			return err
		}
	}
	return nil
}

// takeOverReturn puts the records of the group that was come back to in the place
// of the old ones, and loads it.
func (t *transaction) takeOverReturn() error {
	waiting := returnID(t.v.id)
	stored, err := t.MLSRecords(waiting)
	if err != nil {
		return err
	}
	group, err := mls.Load(t.v.c.groups, t.v.c.self.signer, stored)
	if err != nil {
		return err
	}
	if err := errors.Join(t.DeleteMLS(t.v.id), t.PutMLS(t.v.id, stored), t.DeleteMLS(waiting)); err != nil {
		return err
	}
	return t.v.enter(group)
}

// missedReturn forgets a commit by which this device would have come back, and
// asks again: for a newer state, where others were faster.
func (v *conversation) missedReturn(ctx context.Context, out *outgoing, why error) error {
	v.c.log.Info("not come back yet", "error", why)
	err := v.write(ctx, func(t *transaction) error {
		h := t.notes.Healing.clone()
		if h != nil {
			h.Bare = h.Bare || wire.CodeOf(why) == qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID
			if gone(why) || h.Rounds >= maxQuickReturns {
				h.pauseRound(v.c.now())
			} else {
				h.Rounds++
				h.Round = 0
			}
		}
		t.notes.Healing = h
		return errors.Join(t.DeleteMLS(returnID(v.id)), t.dequeue(out, nil))
	})
	if err == nil {
		wake(v.c.start)
	}
	return err
}

// maxQuickReturns is how often another member may be faster before there is a pause.
const maxQuickReturns = 3
