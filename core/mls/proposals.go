package mls

import (
	"bytes"
	"fmt"
	"slices"
)

// sourcedProposal is a proposal of a commit with its sender; ref is nil where
// the committer sends it by value.
type sourcedProposal struct {
	*Proposal
	sender sender
	ref    []byte
}

// outcome is what the proposals of a commit do: a new tree and new extensions.
type outcome struct {
	committer  LeafIndex // its leaf in tree, which has still to be put there where it joins
	replaced   *LeafNode // the committer's leaf before; nil where it joins for the first time
	external   *Proposal // the ExternalInit of an external commit
	tree       *ratchetTree
	extensions []Extension
	updated    []LeafIndex
	removed    []LeafIndex
	added      []LeafIndex   // ascending
	joiners    []*KeyPackage // of added, in order
	psks       []pskID
	reInit     *ReInit
	proposals  []CommittedProposal
	needsPath  bool
}

// checkList applies the rules of RFC 9420 §12.2 about a list of proposals as a
// whole, and those of SelfRemove.
func checkList(committer sender, list []sourcedProposal) error {
	if committer.typ == SenderNewMemberCommit {
		if err := checkExternalList(list); err != nil {
			return err
		}
	}
	touched := map[LeafIndex]bool{}
	touch := func(i LeafIndex) error {
		if committer.isMember(i) {
			return invalid("12.2", "committer updates or removes itself by a proposal")
		}
		if touched[i] {
			return invalid("12.2", "several proposals for leaf %d", i)
		}
		touched[i] = true
		return nil
	}
	psks := map[string]bool{}
	touchPSK := func(id pskID) error {
		key := string(marshal(id))
		if psks[key] {
			return invalid("12.2", "the same PSK twice")
		}
		psks[key] = true
		return nil
	}
	extensions := false
	for _, p := range list {
		var err error
		switch p.typ {
		case ProposalAdd:
		case ProposalUpdate:
			if p.ref == nil {
				err = invalid("12.2", "update by the committer")
			} else {
				err = touch(p.sender.leaf())
			}
		case ProposalRemove:
			err = touch(p.removed)
		case ProposalSelfRemove:
			if p.ref == nil {
				err = invalid("mls-extensions SelfRemove", "self-remove by value")
			} else {
				err = touch(p.sender.leaf())
			}
		case ProposalGroupContextExtensions:
			if extensions {
				err = invalid("12.2", "several group context extensions proposals")
			}
			extensions = true
		case ProposalPSK:
			err = touchPSK(p.psk)
		case ProposalReInit:
			if len(list) > 1 {
				err = invalid("12.2", "re-initialisation together with other proposals")
			}
		case ProposalExternalInit:
			if committer.typ != SenderNewMemberCommit {
				err = invalid("12.2", "external init by a member")
			}
		default:
			err = fmt.Errorf("%w: proposal type %#04x", ErrUnsupported, uint16(p.typ))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkExternalList applies the rules about the proposals of an external commit
// (§12.2, §12.4.3.2). Of those sent in the group it may commit self-removes alone.
func checkExternalList(list []sourcedProposal) error {
	inits, removes := 0, 0
	for _, p := range list {
		if p.ref != nil && p.typ != ProposalSelfRemove {
			return invalid("12.4.3.2", "external commit with a proposal by reference")
		}
		switch p.typ {
		case ProposalExternalInit:
			inits++
		case ProposalRemove:
			removes++
		case ProposalPSK, ProposalSelfRemove:
		default:
			return invalid("12.2", "external commit with a proposal of type %#04x", uint16(p.typ))
		}
	}
	if inits != 1 {
		return invalid("12.2", "external commit with %d external inits", inits)
	}
	if removes > 1 {
		return invalid("12.2", "external commit with %d removals", removes)
	}
	return nil
}

// apply checks the proposals of a commit and applies them to a copy of the
// tree, in the order of §12.3: extensions, updates, removals, additions.
func (g *Group) apply(committer sender, list []sourcedProposal) (*outcome, error) {
	if err := checkList(committer, list); err != nil {
		return nil, err
	}
	joins := committer.typ == SenderNewMemberCommit
	o := &outcome{tree: g.cur.tree.clone(), extensions: g.cur.context.extensions, needsPath: len(list) == 0}
	if !joins {
		o.committer, o.replaced = committer.leaf(), g.cur.tree.leaf(committer.leaf())
	}
	for _, p := range list {
		o.needsPath = o.needsPath || p.typ.needsPath()
		if p.typ == ProposalGroupContextExtensions {
			o.extensions = cloneExtensions(p.extensions)
		}
	}
	for _, p := range list {
		if err := g.checkProposal(p.Proposal, p.sender, o.extensions); err != nil {
			return nil, err
		}
		switch p.typ {
		case ProposalUpdate:
			o.updated = append(o.updated, p.sender.leaf())
		case ProposalRemove:
			o.removed = append(o.removed, p.removed)
			if joins {
				o.replaced = g.cur.tree.leaf(p.removed)
			}
		case ProposalSelfRemove:
			o.removed = append(o.removed, p.sender.leaf())
		case ProposalPSK:
			o.psks = append(o.psks, p.psk)
		case ProposalExternalInit:
			o.external = p.Proposal
		case ProposalReInit:
			o.reInit = p.reInit.clone()
		}
	}
	for _, p := range list {
		if p.typ == ProposalUpdate {
			o.tree.update(p.sender.leaf(), p.leaf)
		}
	}
	for _, i := range o.removed {
		o.tree.remove(i)
	}
	leaves := func(p sourcedProposal) bool { return p.typ == ProposalSelfRemove }
	if slices.ContainsFunc(list, leaves) && !o.tree.census.allHaveProposal(uint16(ProposalSelfRemove)) {
		return nil, invalid("12.2", "a member that stays does not support self-remove")
	}
	if joins {
		o.committer = o.tree.vacancy()
	}
	for _, p := range list {
		done := CommittedProposal{Kind: p.typ, From: p.sender.typ, Sender: p.sender.leaf()}
		if joins && p.ref == nil {
			done.Sender = o.committer
		}
		done.Target = done.Sender
		switch p.typ {
		case ProposalAdd:
			done.Target = o.tree.add(p.keyPackage.leaf)
			o.added = append(o.added, done.Target)
			o.joiners = append(o.joiners, p.keyPackage)
		case ProposalRemove:
			done.Target = p.removed
		}
		o.proposals = append(o.proposals, done)
	}
	return o, o.check()
}

// check applies the rules about all members to the new tree.
func (o *outcome) check() error {
	for _, i := range slices.Concat(o.updated, o.added) {
		if err := o.tree.checkUnique(i); err != nil {
			return err
		}
	}
	if !o.tree.census.credentialsSupported() {
		return invalid("7.3", "a credential type in use is not supported by all members")
	}
	return o.tree.census.supports(o.extensions)
}

// checkUnique refuses a leaf whose keys another one has (§7.3).
func (t *ratchetTree) checkUnique(i LeafIndex) error {
	leaf := t.leaf(i)
	if t.census.count(countSignatureKey, keyID(leaf.SignatureKey)) > 1 {
		return invalid("7.3", "signature key of leaf %d is in the group already", i)
	}
	if t.census.count(countEncryptionKey, keyID(leaf.EncryptionKey)) > 1 {
		return invalid("7.3", "encryption key of leaf %d is in the group already", i)
	}
	return nil
}

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
