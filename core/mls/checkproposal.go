package mls

import (
	"bytes"
	"fmt"
)

// checkProposal applies the rules about a single proposal (§12.1); extensions
// are those of the group context it is to take effect under.
func (g *Group) checkProposal(p *Proposal, from sender, extensions []Extension) error {
	if p.err != nil {
		return p.err
	}
	if !from.typ.mayPropose(p.typ) {
		return from.typ.notAllowed(p.typ)
	}
	switch p.typ {
	case ProposalAdd:
		return g.checkAdd(p.keyPackage, extensions)
	case ProposalUpdate:
		return g.checkUpdate(p.leaf, from.leaf(), extensions)
	case ProposalRemove:
		if g.cur.tree.leaf(p.removed) == nil {
			return invalid("12.1.3", "leaf %d to remove is blank", p.removed)
		}
		return nil
	case ProposalGroupContextExtensions:
		if err := checkContextExtensions(p.extensions); err != nil {
			return err
		}
		return g.cfg.authenticateExternalSenders(g.cur.context.groupID, g.cur.context.extensions, p.extensions)
	case ProposalPSK:
		return g.checkPSK(p.psk)
	case ProposalReInit:
		return p.reInit.check()
	case ProposalSelfRemove:
		if g.cur.tree.leaf(from.leaf()) == nil {
			return invalid("mls-extensions SelfRemove", "leaf %d that leaves is blank", from.leaf())
		}
		return nil
	case ProposalExternalInit: // its place is checkList's to judge, its content shows in the confirmation tag
		return nil
	default:
		return fmt.Errorf("%w: proposal type %#04x", ErrUnsupported, uint16(p.typ))
	}
}

func checkContextExtensions(list []Extension) error {
	if err := checkExtensions(list); err != nil {
		return err
	}
	if _, err := requiredCapabilitiesOf(list); err != nil {
		return fmt.Errorf("required capabilities: %w", err)
	}
	if _, err := externalSendersOf(list); err != nil {
		return fmt.Errorf("external senders: %w", err)
	}
	return nil
}

func (g *Group) checkAdd(kp *KeyPackage, extensions []Extension) error {
	if kp.suite != g.suite.id {
		return invalid("12.1.1", "key package is for %v", kp.suite)
	}
	if err := kp.verify(); err != nil {
		return err
	}
	if err := kp.leaf.supports(extensions); err != nil {
		return err
	}
	return g.authenticate(kp.leaf, 0, nil)
}

func (g *Group) checkUpdate(leaf *LeafNode, sender LeafIndex, extensions []Extension) error {
	if leaf.Source != SourceUpdate {
		return invalid("12.1.2", "leaf of an update has another source")
	}
	old := g.cur.tree.leaf(sender)
	if old == nil {
		return invalid("7.3", "leaf %d is blank", sender)
	}
	return g.checkNewLeaf(leaf, sender, old, extensions)
}

// checkNewLeaf checks a leaf that a member, or one that joins by itself, puts in
// the place of old, nil where there is none (§7.3).
func (g *Group) checkNewLeaf(leaf *LeafNode, i LeafIndex, old *LeafNode, extensions []Extension) error {
	if old != nil && bytes.Equal(old.EncryptionKey, leaf.EncryptionKey) {
		return invalid("7.3", "new leaf has the old encryption key")
	}
	if err := leaf.check(g.suite); err != nil {
		return err
	}
	if err := leaf.supports(extensions); err != nil {
		return err
	}
	if !leaf.verifySignature(g.suite, g.cur.context.groupID, i) {
		return fmt.Errorf("%w: leaf %d", ErrInvalidSignature, i)
	}
	return g.authenticate(leaf, i, old)
}

func (g *Group) authenticate(leaf *LeafNode, i LeafIndex, previous *LeafNode) error {
	return g.cfg.authenticate(g.cur.context.groupID, leaf, i, previous)
}

func (c *Config) authenticate(groupID []byte, leaf *LeafNode, i LeafIndex, previous *LeafNode) error {
	ctx := LeafContext{GroupID: groupID, Source: leaf.Source, Index: i, Previous: previous, Now: c.now()}
	if err := c.Auth.ValidateLeaf(ctx, leaf); err != nil {
		return &ValidationError{Section: "5.3.1", Reason: "the authentication service refuses the leaf", Err: err}
	}
	return nil
}
