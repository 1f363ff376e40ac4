package mls

import (
	"maps"
	"slices"
)

// CommitOptions is what a commit does besides committing the proposals received.
type CommitOptions struct {
	Proposals      []Proposal
	LeafExtensions []Extension // of the own new leaf; nil keeps them
	// AddOnly leaves out the update path where the proposals allow it: a smaller
	// commit that gives no post-compromise security.
	AddOnly bool
	// OmitTree leaves the ratchet tree out of the Welcome: who is added gets
	// Group.RatchetTree, or StagedCommit.RatchetTree, by another way.
	OmitTree bool
	AAD      []byte // authenticated, not encrypted
}

// Commit stages a commit of the proposals given and of those received
// (RFC 9420 §12.4.1), with a fresh key for this member unless AddOnly. It
// becomes the group's pending commit and changes nothing else: publish it, then
// MergePending when the delivery service has accepted it, or DiscardPending.
// ErrPending, ErrRemoved, ErrReInit, ErrLeaving; *ValidationError for a proposal that
// cannot be committed.
func (g *Group) Commit(o CommitOptions) (*StagedCommit, error) {
	if err := g.mayCommit(); err != nil {
		return nil, err
	}
	for _, p := range o.Proposals {
		if err := p.checkLifetime(g.cfg.now()); err != nil {
			return nil, err
		}
	}
	list, out, err := g.applyGathered(o.Proposals)
	if err != nil {
		return nil, err
	}
	if len(list) > maxCommitted {
		return nil, invalid("12.2", "%d proposals in a commit", len(list))
	}
	c := &commit{proposals: proposalsOrRefs(list)}
	path := &newPath{keys: privateKeys{}, commitSecret: make([]byte, g.suite.nh)}
	if out.needsPath || !o.AddOnly {
		if path, err = g.newPath(out, o.LeafExtensions); err != nil {
			return nil, err
		}
		c.path = &path.path
	}
	defer path.wipe()
	staged, err := g.publishable(c, o, out, path)
	if err != nil {
		path.keys.wipe()
	}
	return staged, err
}

func proposalsOrRefs(list []sourcedProposal) []proposalOrRef {
	out := make([]proposalOrRef, len(list))
	for i, p := range list {
		if p.ref != nil {
			out[i].ref = p.ref
		} else {
			out[i].proposal = p.Proposal
		}
	}
	return out
}

func (g *Group) mayCommit() error {
	if err := g.maySend(); err != nil {
		return err
	}
	if g.pending != nil {
		return ErrPending
	}
	for _, p := range g.proposals {
		if p.typ == ProposalSelfRemove && p.sender.isMember(g.own) {
			return ErrLeaving
		}
	}
	return nil
}

// newPath makes the update path of a commit by a member and seals it.
func (g *Group) newPath(out *outcome, leafExtensions []Extension) (*newPath, error) {
	leaf := *g.cur.tree.leaf(g.own)
	if err := leaf.setExtensions(leafExtensions); err != nil {
		return nil, err
	}
	return g.pathOf(out, &leaf)
}

// pathOf makes the update path that puts leaf, with a fresh key, into the committer's
// place, and seals it.
func (g *Group) pathOf(out *outcome, leaf *LeafNode) (*newPath, error) {
	path, err := out.tree.createPath(out.committer, leaf, g.signer, g.cur.context.groupID)
	if err != nil {
		return nil, err
	}
	context := g.nextContext(out, g.cur.context.confirmedTranscriptHash)
	return path, path.seal(out.tree, out.added, marshal(context))
}

// nextContext is the group context of the next epoch (§12.4.1), provisional as
// long as the transcript hash is that of the present one.
func (g *Group) nextContext(out *outcome, confirmed []byte) *groupContext {
	return &groupContext{
		suite: g.suite.id, groupID: g.cur.context.groupID, epoch: g.cur.context.epoch + 1,
		treeHash: out.tree.rootHash(), confirmedTranscriptHash: confirmed, extensions: out.extensions,
	}
}

// publishable signs and protects a commit, computes the epoch it begins and the
// Welcome into it, and makes it the pending one.
func (g *Group) publishable(c *commit, o CommitOptions, out *outcome, path *newPath) (*StagedCommit, error) {
	content := g.content(contentCommit, marshal(c), o.AAD)
	content.content.commit = c
	next, j, err := g.confirm(out, content, g.cur.secrets.init, path)
	if err != nil {
		return nil, err
	}
	defer j.wipe()

	staged := &StagedCommit{
		Epoch: g.cur.context.epoch, Committer: g.own, AAD: content.content.aad, Proposals: out.proposals, ReInit: out.reInit,
		suite: g.suite, base: g.cur, next: next, own: g.own, signer: g.signer,
	}
	updated := out.updated
	if c.path != nil {
		updated = append(slices.Clone(updated), g.own)
	}
	staged.describe(out.added, out.removed, updated, out.tree)
	if staged.Welcome, err = g.welcome(out, path, next, j, !o.OmitTree); err != nil {
		staged.wipe()
		return nil, err
	}
	if staged.Message, err = g.protect(content); err != nil {
		staged.wipe()
		return nil, err
	}
	g.pending = staged
	g.log.put(recordPending, marshalPending(staged))
	return staged, nil
}

// confirm signs an own commit, computes the epoch it begins and sets its
// confirmation tag.
func (g *Group) confirm(out *outcome, content *authenticatedContent, initSecret []byte, path *newPath) (*epoch, joiner, error) {
	if err := content.sign(g.suite, g.signer, g.cur.contextRaw); err != nil {
		return nil, joiner{}, err
	}
	next, j, err := g.nextEpoch(out, content, initSecret, path.commitSecret)
	if err != nil {
		return nil, joiner{}, err
	}
	next.confirmationTag = g.suite.mac(next.secrets.confirmation, next.context.confirmedTranscriptHash)
	next.interim = g.suite.interimHash(next.context.confirmedTranscriptHash, next.confirmationTag)
	next.keys = g.cur.keys.carry(maps.Clone(path.keys), g.cur.tree, out.tree)
	content.confirmationTag = next.confirmationTag
	return next, j, nil
}

// nextEpoch advances transcript and key schedule by a commit; confirmation tag,
// interim hash and private keys are still to be set.
func (g *Group) nextEpoch(out *outcome, content *authenticatedContent, initSecret, commitSecret []byte) (*epoch, joiner, error) {
	s := g.suite
	pskSecret, err := g.psks(out.psks)
	if err != nil {
		return nil, joiner{}, err
	}
	defer clear(pskSecret)
	e := &epoch{tree: out.tree}
	e.context = *g.nextContext(out, s.confirmedHash(g.cur.interim, content))
	e.contextRaw = marshal(&e.context)
	j := s.joinerOf(initSecret, commitSecret, pskSecret, e.contextRaw)
	e.secrets = s.epochOf(j, e.contextRaw)
	return e, j, nil
}
