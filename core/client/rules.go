package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"quicprochat/core/mls"
)

// errRule says that a member did to the group what the product's rules forbid.
// MLS itself knows no roles, and the server cannot see them: each member judges
// each commit.
var errRule = errors.New("client: a commit breaks the group's rules")

// errForked says that the server called a commit the epoch's and then brought
// another one.
var errForked = errors.New("client: the server brought another commit than it had accepted")

// judgeCommit checks a commit against the rules:
//   - in a group, administrators add and remove others and change the group's state;
//   - everybody adds and removes devices of the own account, and may leave;
//   - a direct chat stays one of its two accounts, and its state as it is;
//   - only members do anything; nobody joins by itself, but for a device that
//     replaces its own leaf because it has lost the group;
//   - kind and channel never change, nor do extensions of the group but its state;
//   - nobody closes the group to go on in another one;
//   - no two devices have one queue address.
//
// The group's state is that before the commit, leavers are those who asked to
// be removed in this epoch.
func (v *conversation) judgeCommit(staged *mls.StagedCommit, leavers []mls.LeafIndex) error {
	if staged.External {
		return v.judgeResync(staged)
	}
	for _, p := range staged.Proposals {
		if p.From != mls.SenderMember {
			return fmt.Errorf("%w: for somebody outside", errRule)
		}
	}
	if staged.ReInit != nil {
		return fmt.Errorf("%w: re-initialised the group", errRule)
	}
	committer, ok := v.group.Member(staged.Committer)
	if !ok {
		return fmt.Errorf("%w: by nobody", errRule)
	}
	actor, err := accountOf(committer.LeafNode)
	if err != nil {
		return err
	}
	admin := v.state.kind == KindGroup && v.state.isAdmin(actor)
	if !staged.RemovesSelf() { // who is removed does not see the next epoch
		if err := v.judgeState(staged, admin); err != nil {
			return err
		}
	}
	if err := v.judgeAddresses(staged); err != nil {
		return err
	}
	for _, m := range staged.Added {
		account, err := accountOf(m.LeafNode)
		if err != nil {
			return err
		}
		if account != actor && !admin {
			return fmt.Errorf("%w: added somebody without being an administrator", errRule)
		}
	}
	for _, m := range staged.Removed {
		account, err := accountOf(m.LeafNode)
		if err != nil {
			return err
		}
		if account != actor && !admin && !slices.Contains(leavers, m.Index) {
			return fmt.Errorf("%w: removed somebody without being an administrator", errRule)
		}
	}
	return nil
}

// judgeResync follows a commit from outside only where a device takes the place of
// its own leaf and does nothing else. That both leaves are one device's, at one
// queue address, the authentication service has seen; that nothing is added
// without a leaf that goes, it has not.
func (v *conversation) judgeResync(staged *mls.StagedCommit) error {
	if len(staged.Added) != 1 || len(staged.Removed) != 1 {
		return fmt.Errorf("%w: by somebody outside", errRule)
	}
	before, after := staged.Removed[0], staged.Added[0]
	if !bytes.Equal(before.SignatureKey, after.SignatureKey) || !bytes.Equal(before.Credential.Identity, after.Credential.Identity) ||
		queueAddressOf(before.LeafNode) != queueAddressOf(after.LeafNode) {
		return fmt.Errorf("%w: by somebody outside", errRule)
	}
	for _, p := range staged.Proposals {
		removes := p.Kind == mls.ProposalRemove && p.Target == before.Index
		if p.From != mls.SenderNewMemberCommit || !removes && p.Kind != mls.ProposalExternalInit {
			return fmt.Errorf("%w: by somebody outside", errRule)
		}
	}
	if staged.ReInit != nil {
		return fmt.Errorf("%w: re-initialised the group", errRule)
	}
	if staged.RemovesSelf() {
		return nil // this very device, elsewhere
	}
	return v.judgeState(staged, false)
}

func (v *conversation) judgeState(staged *mls.StagedCommit, admin bool) error {
	data, ok := staged.GroupContextExtension(extGroupState)
	if !ok {
		return fmt.Errorf("%w: dropped the group's state", errRule)
	}
	next, err := parseGroupState(v.id, data)
	if err != nil {
		return fmt.Errorf("%w: %w", errRule, err)
	}
	if next.kind != v.state.kind {
		return fmt.Errorf("%w: changed the kind of the conversation", errRule)
	}
	before := v.group.GroupContextExtensions()
	if !admin && !slices.EqualFunc(before, staged.GroupContextExtensions(), equalExtensions) {
		return fmt.Errorf("%w: changed the group without being an administrator", errRule)
	}
	if !slices.EqualFunc(before, staged.GroupContextExtensions(), equalButState) {
		return fmt.Errorf("%w: changed what the group asks of its members", errRule)
	}
	return nil
}

func equalExtensions(a, b mls.Extension) bool {
	return a.Type == b.Type && bytes.Equal(a.Data, b.Data)
}

// equalButState compares extensions of a group, but for what its state says.
func equalButState(a, b mls.Extension) bool {
	return a.Type == b.Type && (a.Type == extGroupState || bytes.Equal(a.Data, b.Data))
}

// judgeAddresses refuses a new device with the queue address of another one: when
// it is removed, deliveries to the other would end.
func (v *conversation) judgeAddresses(staged *mls.StagedCommit) error {
	if len(staged.Added) == 0 {
		return nil
	}
	removed := make(map[mls.LeafIndex]bool, len(staged.Removed))
	for _, m := range staged.Removed {
		removed[m.Index] = true
	}
	seen := make(map[string]bool)
	for m := range v.group.Members() {
		if !removed[m.Index] {
			seen[queueAddressOf(m.LeafNode)] = true
		}
	}
	for _, m := range staged.Added {
		address := queueAddressOf(m.LeafNode)
		if seen[address] {
			return fmt.Errorf("%w: two devices with one queue address", errRule)
		}
		seen[address] = true
	}
	return nil
}

// brokenReason is for a person: the end of "This device lost track of the
// conversation: ".
func brokenReason(err error) string {
	switch {
	case errors.Is(err, ErrKeyChanged):
		return "somebody joined under another person's name."
	case errors.Is(err, errRule):
		return "a member changed the group without being allowed to."
	case errors.Is(err, mls.ErrFutureEpoch):
		return "changes to the group were missed."
	case errors.Is(err, errForked):
		return "the server told its members different things."
	case errors.Is(err, ErrProfileCorrupt):
		return "its keys on this computer are damaged."
	default:
		return "a member sent a change that could not be read."
	}
}
