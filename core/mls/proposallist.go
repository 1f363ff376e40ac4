package mls

import "fmt"

// sourcedProposal is a proposal of a commit with its sender; ref is nil where
// the committer sends it by value.
type sourcedProposal struct {
	*Proposal
	sender sender
	ref    []byte
}

// checkList applies the rules of RFC 9420 §12.2 about a list of proposals as a
// whole, and those of SelfRemove.
func checkList(committer sender, list []sourcedProposal) error {
	if committer.typ == SenderNewMemberCommit {
		if err := checkExternalList(list); err != nil {
			return err
		}
	}
	rules := listRules{committer: committer, leaves: map[LeafIndex]bool{}, psks: map[string]bool{}}
	for _, p := range list {
		if err := rules.check(p, len(list)); err != nil {
			return err
		}
	}
	return nil
}

// listRules remembers what the proposals of a list, up to some place, have claimed.
type listRules struct {
	committer  sender
	leaves     map[LeafIndex]bool // updated or removed
	psks       map[string]bool    // by their encoded ids
	extensions bool               // of the group context
}

// check judges the next proposal of a list of n.
func (r *listRules) check(p sourcedProposal, n int) error {
	switch p.typ {
	case ProposalAdd:
		return nil
	case ProposalUpdate:
		if p.ref == nil {
			return invalid("12.2", "update by the committer")
		}
		return r.claimLeaf(p.sender.leaf())
	case ProposalRemove:
		return r.claimLeaf(p.removed)
	case ProposalSelfRemove:
		if p.ref == nil {
			return invalid("mls-extensions SelfRemove", "self-remove by value")
		}
		return r.claimLeaf(p.sender.leaf())
	case ProposalGroupContextExtensions:
		if r.extensions {
			return invalid("12.2", "several group context extensions proposals")
		}
		r.extensions = true
		return nil
	case ProposalPSK:
		return r.claimPSK(p.psk)
	case ProposalReInit:
		if n > 1 {
			return invalid("12.2", "re-initialisation together with other proposals")
		}
		return nil
	case ProposalExternalInit:
		if r.committer.typ != SenderNewMemberCommit {
			return invalid("12.2", "external init by a member")
		}
		return nil
	default:
		return fmt.Errorf("%w: proposal type %#04x", ErrUnsupported, uint16(p.typ))
	}
}

func (r *listRules) claimLeaf(i LeafIndex) error {
	if r.committer.isMember(i) {
		return invalid("12.2", "committer updates or removes itself by a proposal")
	}
	if r.leaves[i] {
		return invalid("12.2", "several proposals for leaf %d", i)
	}
	r.leaves[i] = true
	return nil
}

func (r *listRules) claimPSK(id pskID) error {
	key := string(marshal(id))
	if r.psks[key] {
		return invalid("12.2", "the same PSK twice")
	}
	r.psks[key] = true
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
