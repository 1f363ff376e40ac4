package client

import (
	"slices"

	"quicprochat/core/mls"
	"quicprochat/core/vault"
)

// apply merges a commit into the group and records what it did to the
// conversation. It has been judged before.
func (t *transaction) apply(staged *mls.StagedCommit, merge func() error, seq uint64) error {
	v := t.v
	committer, ok := v.group.Member(staged.Committer)
	if staged.External && len(staged.Removed) == 1 {
		committer, ok = staged.Removed[0], true // it stays who it was
	}
	if !ok {
		return errNotCertified
	}
	actor, err := accountOf(committer.LeafNode)
	if err != nil {
		return err
	}
	story, err := v.tellStory(staged, actor, t.notes)
	if err != nil {
		return err
	}
	before := v.state
	if err := merge(); err != nil {
		return err
	}
	if staged.RemovesSelf() {
		return t.removed(story, actor, seq)
	}
	if err := v.enter(v.group); err != nil {
		return err
	}
	if t.notes.Leaving {
		t.notes.Creating = false
		return t.askAgain()
	}
	t.notes.Leavers = nil
	if err := t.recordStory(story, before, actor, seq); err != nil {
		return err
	}
	t.describe()
	if v.state.kind == KindDirect && v.alone() && !story.created {
		// Nobody is left to talk to.
		return t.end(vault.ConversationLeft, ErrNotMember)
	}
	return nil
}

// describe brings the conversation's row in line with the group.
func (t *transaction) describe() {
	v := t.v
	t.row.Kind = vault.ConversationKind(v.state.kind)
	t.notes.CanManage = v.state.kind == KindGroup && v.state.isAdmin(v.c.self.account())
	if v.state.kind == KindGroup {
		t.row.Title = v.state.title
		return
	}
	if peer := v.peer(); peer != (AccountID{}) {
		t.row.PeerID, t.row.Title = peer, v.c.people.name(peer)
		for _, c := range t.contacts {
			if c.AccountID == peer && c.Name != "" {
				t.row.Title = c.Name
			}
		}
	}
}

// removed ends the conversation for this device.
func (t *transaction) removed(s *story, actor AccountID, seq uint64) error {
	me := t.v.c.self.account()
	if t.notes.Leaving {
		return t.end(vault.ConversationLeft, ErrNotMember) // told when asked
	}
	state := vault.ConversationRemoved
	event := SystemEvent{Kind: EventRemoved, Actor: t.person(actor), Subjects: []Person{t.person(me)}}
	if actor == me {
		state = vault.ConversationLeft
		event = SystemEvent{Kind: EventLeft, Actor: t.person(me), Subjects: []Person{t.person(me)}}
	}
	if err := t.record(event, seq); err != nil {
		return err
	}
	return t.end(state, ErrNotMember)
}

// person names an account, also one that is only just being introduced.
func (t *transaction) person(id AccountID) Person {
	p := t.v.c.people.person(id)
	for _, c := range t.contacts {
		if c.AccountID == id && c.Name != "" {
			p.Name = c.Name
		}
	}
	return p
}

// story is what a commit means for people.
type story struct {
	created        bool
	added, removed []AccountID // accounts that came, or were removed
	left           []AccountID
	devicesAdded   []leafState // of accounts that were there before, and stay
	devicesRemoved []leafState
}

// tellStory reads from a commit, before it is merged, what it does.
func (v *conversation) tellStory(staged *mls.StagedCommit, actor AccountID, n notes) (*story, error) {
	s := &story{created: n.Creating}
	if staged.External {
		return s, nil // a device came back: nothing has changed for people
	}
	after := make(map[AccountID]int)
	for _, m := range staged.Added {
		leaf, err := readLeaf(m.LeafNode)
		if err != nil {
			return nil, err
		}
		account := leaf.certificate.AccountID
		after[account]++
		if v.accounts[account] > 0 {
			s.devicesAdded = append(s.devicesAdded, leaf)
		} else if !slices.Contains(s.added, account) {
			s.added = append(s.added, account)
		}
	}
	for _, m := range staged.Removed {
		leaf, err := readLeaf(m.LeafNode)
		if err != nil {
			return nil, err
		}
		after[leaf.certificate.AccountID]--
	}
	for _, m := range staged.Removed {
		leaf, _ := readLeaf(m.LeafNode)
		account := leaf.certificate.AccountID
		switch {
		case v.accounts[account]+after[account] > 0:
			s.devicesRemoved = append(s.devicesRemoved, leaf)
		case account == actor || slices.Contains(n.Leavers, m.Index):
			if !slices.Contains(s.left, account) {
				s.left = append(s.left, account)
			}
		case !slices.Contains(s.removed, account):
			s.removed = append(s.removed, account)
		}
	}
	return s, nil
}

// recordStory writes the story as system events. v.state is the new one.
func (t *transaction) recordStory(s *story, before groupState, actor AccountID, seq uint64) error {
	who := t.person(actor)
	var events []SystemEvent
	now := t.v.state
	if s.created {
		t.notes.Creating = false
		events = append(events, SystemEvent{Kind: EventCreated, Actor: who, Title: now.title})
	}
	if len(s.added) > 0 && !(s.created && now.kind == KindDirect) {
		events = append(events, SystemEvent{Kind: EventAdded, Actor: who, Subjects: t.persons(s.added)})
	}
	if len(s.removed) > 0 {
		events = append(events, SystemEvent{Kind: EventRemoved, Actor: who, Subjects: t.persons(s.removed)})
	}
	for _, account := range s.left {
		p := t.person(account)
		events = append(events, SystemEvent{Kind: EventLeft, Actor: p, Subjects: []Person{p}})
	}
	for _, leaf := range s.devicesAdded {
		cert := leaf.certificate
		if s.created {
			break // the own other devices are no news
		}
		events = append(events, SystemEvent{Kind: EventDeviceAdded, Actor: t.person(cert.AccountID), Title: cert.DeviceName})
	}
	for _, leaf := range s.devicesRemoved {
		cert := leaf.certificate
		events = append(events, SystemEvent{Kind: EventDeviceRemoved, Actor: t.person(cert.AccountID), Title: cert.DeviceName})
	}
	if now.title != before.title {
		events = append(events, SystemEvent{Kind: EventRenamed, Actor: who, Title: now.title})
	}
	for _, e := range events {
		if err := t.record(e, seq); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) persons(ids []AccountID) []Person {
	list := make([]Person, len(ids))
	for i, id := range ids {
		list[i] = t.person(id)
	}
	return list
}
