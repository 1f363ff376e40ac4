package client

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// maxChangedDevices bounds after how many the server is asked.
const maxChangedDevices = 8

// judgeReturn tells whether the group that a member has shown is the one that this
// device has lost. It has not seen the commits in between and cannot judge them, so
// it takes on a member's word only what that member could have done by itself: an
// administrator may have changed members, roles and title, as may the account's own
// other devices have seen it done; anybody else only its own devices. Those of others
// have changed where the server says so too. Kind, channel, the accounts of a direct
// chat and what a group asks of its members never change.
func (v *conversation) judgeReturn(ctx context.Context, next *conversation, sender *identity.Certificate, epoch uint64) error {
	before, after := v.group.GroupContextExtensions(), next.group.GroupContextExtensions()
	switch {
	case !slices.Equal(next.group.ID(), v.id[:]):
		return fmt.Errorf("%w: another group", errWayBack)
	case next.group.Epoch() != epoch+1 || epoch < v.notes.Last:
		return fmt.Errorf("%w: of another epoch", errWayBack)
	case next.state.kind != v.state.kind:
		return fmt.Errorf("%w: of another kind", errWayBack)
	case !slices.EqualFunc(before, after, equalButState):
		return fmt.Errorf("%w: asks something else of its members", errWayBack)
	case next.accounts[sender.AccountID] == 0:
		return fmt.Errorf("%w: the sender is not a member", errWayBack)
	}
	if err := next.judgeDevices(); err != nil {
		return err
	}
	own := sender.AccountID == v.c.self.account()
	if v.state.kind == KindGroup && (own || v.state.isAdmin(sender.AccountID)) {
		return nil
	}
	sameAccounts := maps.EqualFunc(v.accounts, next.accounts, func(int, int) bool { return true })
	if !sameAccounts || !slices.EqualFunc(before, after, equalExtensions) {
		return fmt.Errorf("%w: changed in a way that the sender has no say in", errWayBack)
	}
	if own {
		return nil
	}
	return v.confirmDevices(ctx, next, sender.AccountID)
}

// confirmDevices refuses a group in which others than the sender have other devices
// than before, unless the server knows those that came and none of those that went.
// The error may be passing: the server cannot be asked.
func (v *conversation) confirmDevices(ctx context.Context, next *conversation, sender AccountID) error {
	ctx, cancel := context.WithTimeout(ctx, introduceTimeout)
	defer cancel()
	before, err := v.certificates()
	if err != nil {
		return err
	}
	after, err := next.certificates()
	if err != nil {
		return err
	}
	asked := 0
	confirm := func(from, to map[DeviceID]*identity.Certificate, good func(error) bool) error {
		for id, cert := range from {
			if to[id] != nil || cert.AccountID == sender {
				continue
			}
			if asked++; asked > maxChangedDevices {
				return fmt.Errorf("%w: too many devices have changed", errWayBack)
			}
			if _, err := v.c.hybridKeyOf(ctx, cert); !good(err) {
				return fmt.Errorf("%w: a device has changed, and the server does not say so", errWayBack)
			}
		}
		return nil
	}
	gone := func(err error) bool { return wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT }
	if err := confirm(before, after, gone); err != nil {
		return err
	}
	return confirm(after, before, func(err error) bool { return err == nil })
}

// certificates are those of all devices in the group.
func (v *conversation) certificates() (map[DeviceID]*identity.Certificate, error) {
	all := make(map[DeviceID]*identity.Certificate)
	for m := range v.group.Members() {
		leaf, err := readLeaf(m.LeafNode)
		if err != nil {
			return nil, err
		}
		all[leaf.certificate.DeviceID()] = leaf.certificate
	}
	return all, nil
}

// judgeDevices refuses a group in which a leaf is not certified, or two devices have
// one queue address.
func (v *conversation) judgeDevices() error {
	seen := make(map[string]bool)
	for m := range v.group.Members() {
		leaf, err := readLeaf(m.LeafNode)
		if err != nil {
			return err
		}
		if seen[string(leaf.queueAddress)] {
			return fmt.Errorf("%w: two devices with one queue address", errWayBack)
		}
		seen[string(leaf.queueAddress)] = true
	}
	return nil
}
