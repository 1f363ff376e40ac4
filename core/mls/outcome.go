package mls

import (
	"math"
	"slices"
)

// outcome is what the proposals of a commit do: a new tree and new extensions.
type outcome struct {
	joins      bool      // whether the committer is no member yet
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

// apply checks the proposals of a commit and applies them to a copy of the
// tree, in the order of RFC 9420 §12.3: extensions, updates, removals, additions.
func (g *Group) apply(committer sender, list []sourcedProposal) (*outcome, error) {
	if g.cur.context.epoch == math.MaxUint64 {
		return nil, invalid("8.1", "no epoch comes after this one")
	}
	if err := checkList(committer, list); err != nil {
		return nil, err
	}
	o := g.newOutcome(committer, list)
	for _, p := range list {
		if err := g.checkProposal(p.Proposal, p.sender, o.extensions); err != nil {
			return nil, err
		}
		o.collect(p)
	}
	if err := o.updateAndRemove(list); err != nil {
		return nil, err
	}
	if o.joins {
		o.committer = o.tree.vacancy()
	}
	for _, p := range list {
		o.proposals = append(o.proposals, o.addAndDescribe(p))
	}
	return o, o.check()
}

// newOutcome begins with the present tree and the new extensions: all other
// proposals are judged by these.
func (g *Group) newOutcome(committer sender, list []sourcedProposal) *outcome {
	o := &outcome{
		joins: committer.typ == SenderNewMemberCommit, tree: g.cur.tree.clone(),
		extensions: g.cur.context.extensions, needsPath: len(list) == 0,
	}
	if !o.joins {
		o.committer, o.replaced = committer.leaf(), o.tree.leaf(committer.leaf())
	}
	for _, p := range list {
		o.needsPath = o.needsPath || p.typ.needsPath()
		if p.typ == ProposalGroupContextExtensions {
			o.extensions = cloneExtensions(p.extensions)
		}
	}
	return o
}

// collect notes what a valid proposal asks for; the tree is still the present one.
func (o *outcome) collect(p sourcedProposal) {
	switch p.typ {
	case ProposalUpdate:
		o.updated = append(o.updated, p.sender.leaf())
	case ProposalRemove:
		o.removed = append(o.removed, p.removed)
		if o.joins {
			o.replaced = o.tree.leaf(p.removed)
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

func (o *outcome) updateAndRemove(list []sourcedProposal) error {
	leaves := false
	for _, p := range list {
		switch p.typ {
		case ProposalUpdate:
			o.tree.update(p.sender.leaf(), p.leaf)
		case ProposalSelfRemove:
			leaves = true
		}
	}
	for _, i := range o.removed {
		o.tree.remove(i)
	}
	if leaves && !o.tree.census.allHaveProposal(uint16(ProposalSelfRemove)) {
		return invalid("12.2", "a member that stays does not support self-remove")
	}
	return nil
}

// addAndDescribe applies a proposal if it is an Add, and tells what it has done.
func (o *outcome) addAndDescribe(p sourcedProposal) CommittedProposal {
	done := CommittedProposal{Kind: p.typ, From: p.sender.typ, Sender: p.sender.leaf()}
	if o.joins && p.ref == nil {
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
	return done
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

// checkCommitter applies the rules about all members to the committer's new leaf.
func (o *outcome) checkCommitter() error {
	if err := o.tree.checkUnique(o.committer); err != nil {
		return err
	}
	if !o.tree.census.credentialsSupported() {
		return invalid("7.3", "a credential type in use is not supported by all members")
	}
	return nil
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
