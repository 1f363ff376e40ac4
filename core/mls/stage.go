package mls

import (
	"fmt"
	"maps"
	"slices"
)

// stage validates a commit of another member and computes the epoch it begins
// (RFC 9420 §12.4.2). The group is left as it is.
func (g *Group) stage(content *authenticatedContent) (*StagedCommit, error) {
	c := content.content.commit
	from := content.content.sender
	list, err := g.resolve(from, c.proposals)
	if err != nil {
		return nil, err
	}
	out, err := g.apply(from, list)
	if err != nil {
		return nil, err
	}
	if out.needsPath && c.path == nil {
		return nil, invalid("12.4", "commit without the update path that its proposals ask for")
	}
	staged := &StagedCommit{
		Epoch: g.cur.context.epoch, Committer: out.committer, External: out.external != nil,
		AAD: content.content.aad, Proposals: out.proposals, ReInit: out.reInit,
		suite: g.suite, base: g.cur, own: g.own, signer: g.signer,
	}
	added, updated := out.added, out.updated
	var steps []pathStep
	if c.path != nil {
		if steps, err = g.applyPath(c.path, out); err != nil {
			return nil, err
		}
		if staged.External {
			added = append(slices.Clone(added), out.committer)
		} else {
			updated = append(slices.Clone(updated), out.committer)
		}
	}
	staged.describe(added, out.removed, updated, out.tree)
	if slices.Contains(out.removed, g.own) {
		return staged, nil
	}
	staged.next, err = g.follow(content, list, out, steps)
	return staged, err
}

// applyPath checks the leaf of an update path and puts the path into the tree.
func (g *Group) applyPath(path *updatePath, out *outcome) ([]pathStep, error) {
	if path.leaf.Source != SourceCommit {
		return nil, invalid("12.4.2", "leaf of an update path has another source")
	}
	if err := g.checkNewLeaf(path.leaf, out.committer, out.replaced, out.extensions); err != nil {
		return nil, err
	}
	steps, err := out.tree.applyPath(out.committer, path, out.added)
	if err != nil {
		return nil, err
	}
	return steps, out.checkCommitter()
}

// follow derives the secrets of the next epoch and checks the confirmation tag.
func (g *Group) follow(content *authenticatedContent, list []sourcedProposal, out *outcome, steps []pathStep) (next *epoch, err error) {
	known := maps.Clone(g.cur.keys)
	fresh := privateKeys{}
	defer func() {
		if err != nil {
			fresh.wipe()
		}
	}()
	private, err := g.ownUpdate(list)
	if err != nil {
		return nil, err
	}
	if private != nil {
		fresh[g.own.node()], known[g.own.node()] = private, private
	}
	commitSecret := make([]byte, g.suite.nh)
	if path := content.content.commit.path; path != nil {
		context := marshal(g.nextContext(out, g.cur.context.confirmedTranscriptHash))
		derived, secret, err := out.tree.openPath(g.own, known, steps, path, out.added, context)
		if err != nil {
			return nil, err
		}
		maps.Copy(fresh, derived)
		commitSecret = secret
	}
	defer clear(commitSecret)
	initSecret, err := g.initSecret(out)
	if err != nil {
		return nil, err
	}
	defer clear(initSecret)
	next, j, err := g.nextEpoch(out, content, initSecret, commitSecret)
	if err != nil {
		return nil, err
	}
	defer j.wipe()
	if !g.suite.verifyMAC(next.secrets.confirmation, next.context.confirmedTranscriptHash, content.confirmationTag) {
		next.secrets.wipe()
		return nil, fmt.Errorf("%w: confirmation tag", ErrInvalidSignature)
	}
	next.confirmationTag = slices.Clone(content.confirmationTag)
	next.interim = g.suite.interimHash(next.context.confirmedTranscriptHash, next.confirmationTag)
	next.keys = g.cur.keys.carry(fresh, g.cur.tree, out.tree)
	return next, nil
}

// ownUpdate returns a copy of the private key of the own Update in the list, nil
// where there is none. The cache's is wiped with the epoch.
func (g *Group) ownUpdate(list []sourcedProposal) ([]byte, error) {
	for _, p := range list {
		if p.typ != ProposalUpdate || !p.sender.isMember(g.own) {
			continue
		}
		private := g.cached(p.ref).newPrivate
		if private == nil {
			return nil, fmt.Errorf("%w: no private key for the own update", ErrCorruptState)
		}
		return slices.Clone(private), nil
	}
	return nil, nil
}
