package mls

import (
	"bytes"
	"crypto"
	"fmt"
)

// SuccessorOptions is what the first member of a successor group brings along.
type SuccessorOptions struct {
	Credential        Credential
	Signer            crypto.Signer // of the successor's suite
	LeafExtensions    []Extension
	ExtraCapabilities Capabilities
	// KeyPackages are fresh ones, serialised, of the other members: of a
	// re-initialised group of all, of a branch of those who are to be in it.
	KeyPackages [][]byte
	AddOnly     bool // as in CommitOptions, as is OmitTree
	OmitTree    bool
}

// Reinitialize makes the group that takes the place of this re-initialised one
// (RFC 9420 §11.2), at epoch 0, with the first commit staged: it adds all other
// members and carries the proof that its author was one of this group's last epoch. Store
// the new group, publish the Welcome (the Message is for nobody), and MergePending.
//
// Any member may do so, since the one that committed the ReInit may be gone. Where the
// delivery service has another member's successor already, drop this one and join that.
// This group is left as it is, for others to join; delete it when it is not needed any more.
//
// ErrRemoved; ErrUnsupported for a suite or version that is not known here;
// *ValidationError of §11.2 where the group is not re-initialised or the
// KeyPackages are not those of exactly the other members, and as of Commit.
func (g *Group) Reinitialize(o SuccessorOptions) (*Group, *StagedCommit, error) {
	switch {
	case g.removed:
		return nil, nil, ErrRemoved
	case g.reInit == nil:
		return nil, nil, invalid("11.2", "the group has not been re-initialised")
	case g.reInit.Version != protocolVersion:
		return nil, nil, fmt.Errorf("%w: protocol version %d", ErrUnsupported, g.reInit.Version)
	}
	p := CreateParams{GroupID: g.reInit.GroupID, Suite: g.reInit.Suite, GroupContextExtensions: g.reInit.Extensions}
	return g.succeed(usageReInit, p, o)
}

// Branch makes a group of this one's version and suite with this id and some of its members
// (RFC 9420 §11.3), at epoch 0, with the first commit staged, as Reinitialize does.
// extensions are those of its group context, such as GroupContextExtensions.
// This group goes on.
//
// ErrRemoved, ErrReInit; *ValidationError of §11.3 where a KeyPackage is
// nobody's in the group, and as of Commit.
func (g *Group) Branch(groupID []byte, extensions []Extension, o SuccessorOptions) (*Group, *StagedCommit, error) {
	if err := g.maySend(); err != nil {
		return nil, nil, err
	}
	return g.succeed(usageBranch, CreateParams{GroupID: groupID, Suite: g.suite.id, GroupContextExtensions: extensions}, o)
}

func (g *Group) succeed(usage uint8, p CreateParams, o SuccessorOptions) (*Group, *StagedCommit, error) {
	p.Credential, p.Signer, p.LeafExtensions, p.ExtraCapabilities = o.Credential, o.Signer, o.LeafExtensions, o.ExtraCapabilities
	next, err := g.cfg.create(p)
	if err != nil {
		return nil, nil, err
	}
	link := pskID{
		typ: pskResumption, usage: usage, groupID: g.cur.context.groupID, epoch: g.cur.context.epoch, nonce: next.suite.randomSecret(),
	}
	proposals := make([]Proposal, len(o.KeyPackages), len(o.KeyPackages)+1)
	for i, kp := range o.KeyPackages {
		proposals[i] = AddProposal(kp)
	}
	next.origin = &presharedKey{link, g.cur.secrets.resumption}
	staged, err := next.Commit(CommitOptions{
		Proposals: append(proposals, Proposal{typ: ProposalPSK, psk: link}), AddOnly: o.AddOnly, OmitTree: o.OmitTree,
	})
	next.origin = nil
	if err == nil {
		err = g.checkSuccessor(&link, &staged.next.context, staged.next.tree)
	}
	if err != nil {
		next.destroy()
		return nil, nil, err
	}
	return next, staged, nil
}

// destroy wipes a group that has never been stored.
func (g *Group) destroy() {
	g.DiscardPending()
	g.cur.secrets.wipe()
	g.cur.keys.wipe()
	g.keys.forget(g.log)
	for _, change := range g.log.take() {
		clear(change.Value)
	}
}

// JoinSuccessor enters the group that takes the place of this one, or a branch
// of it, by a Welcome that Join has refused with *SuccessorError: like Join, and it
// checks what RFC 9420 §11.2 and §11.3 ask of the new group. Its members are
// compared by Config.Identifier. This group is left as it is.
//
// As of Join, and ErrWrongGroup where the Welcome refers to another group,
// ErrFutureEpoch where commits of this group have to be processed first,
// ErrMissingPSK where a branch is of an epoch that is not kept any more, and
// *ValidationError of §11.2 or §11.3.
func (g *Group) JoinSuccessor(signer crypto.Signer, bundle *KeyPackageBundle, welcomeMessage, tree []byte) (*Group, error) {
	return g.cfg.join(g, signer, bundle, welcomeMessage, tree)
}

// section is where RFC 9420 has the rules about a group that this PSK links to an old one.
func (p *pskID) section() string {
	if p.usage == usageReInit {
		return "11.2"
	}
	return "11.3"
}

// linkSecret finds the PSK that proves a membership in this group to its
// successor, and checks that there may be such a successor.
func (g *Group) linkSecret(link *pskID) ([]byte, error) {
	if link == nil {
		return nil, invalid("12.4.3.1", "the welcome is not into a successor of another group")
	}
	if !bytes.Equal(link.groupID, g.cur.context.groupID) {
		return nil, ErrWrongGroup
	}
	present := g.cur.context.epoch
	if link.epoch > present {
		if g.removed || g.reInit != nil {
			return nil, invalid(link.section(), "successor of epoch %d, which the group has not reached", link.epoch)
		}
		return nil, fmt.Errorf("%w: successor of %d, the present one is %d", ErrFutureEpoch, link.epoch, present)
	}
	if link.usage == usageReInit && (g.reInit == nil || link.epoch != present) {
		return nil, invalid("11.2", "epoch %d does not begin with a re-initialisation", link.epoch)
	}
	if link.usage == usageBranch && g.reInit != nil && link.epoch == present {
		return nil, ErrReInit
	}
	secret := g.resumption(link.epoch)
	if secret == nil {
		return nil, fmt.Errorf("%w: resumption of epoch %d", ErrMissingPSK, link.epoch)
	}
	return secret, nil
}

// checkSuccessor compares the first epoch of a successor with this group.
func (g *Group) checkSuccessor(link *pskID, c *groupContext, t *ratchetTree) error {
	if c.epoch != 1 {
		return invalid(link.section(), "successor is at epoch %d instead of 1", c.epoch)
	}
	if link.usage == usageBranch {
		return g.checkBranch(link.epoch, c, t)
	}
	got := ReInit{GroupID: c.groupID, Version: protocolVersion, Suite: c.suite, Extensions: c.extensions}
	if !bytes.Equal(marshal(&got), marshal(g.reInit)) {
		return invalid("11.2", "successor's id, version, suite or extensions are not those of the ReInit")
	}
	return g.checkReinitialized(t)
}

// checkReinitialized checks that a tree has the members of this group: for each leaf
// one of the same identifier.
func (g *Group) checkReinitialized(t *ratchetTree) error {
	count := map[string]int{}
	g.cur.tree.members(func(_ LeafIndex, l *LeafNode) bool {
		count[g.cfg.identifier(l)]++
		return true
	})
	var err error
	t.members(func(i LeafIndex, l *LeafNode) bool {
		id := g.cfg.identifier(l)
		if count[id]--; count[id] < 0 {
			err = invalid("11.2", "leaf %d of the successor is of nobody in the old group", i)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	if missing := g.cur.tree.census.leaves() - t.census.leaves(); missing > 0 {
		return invalid("11.2", "%d members of the old group are not in its successor", missing)
	}
	return nil
}

// checkBranch checks that a group is a branch of an epoch of this one.
func (g *Group) checkBranch(number uint64, c *groupContext, t *ratchetTree) error {
	if c.suite != g.suite.id {
		return invalid("11.3", "branch of suite %v, the group is of %v", c.suite, g.suite.id)
	}
	if bytes.Equal(c.groupID, g.cur.context.groupID) {
		return invalid("11.3", "branch has the group's own id")
	}
	known := map[string]bool{}
	if err := g.membersThen(number, func(l *LeafNode) { known[g.cfg.identifier(l)] = true }); err != nil {
		return err
	}
	var err error
	t.members(func(i LeafIndex, l *LeafNode) bool {
		if !known[g.cfg.identifier(l)] {
			err = invalid("11.3", "leaf %d of the branch is of nobody in the group", i)
		}
		return err == nil
	})
	return err
}

// membersThen calls for each leaf of an epoch that is kept.
func (g *Group) membersThen(number uint64, f func(*LeafNode)) error {
	e, err := g.messageEpoch(number)
	if err != nil {
		return err
	}
	for i := range LeafIndex(e.keys.leaves) {
		if l := e.leaf(i); l != nil {
			f(l)
		}
	}
	return nil
}

func (c *Config) identifier(l *LeafNode) string {
	if c.Identifier != nil {
		return string(c.Identifier(l))
	}
	return string(marshal(l.Credential))
}
