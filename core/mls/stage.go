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
	committer := LeafIndex(content.content.sender.index)
	list, err := g.resolve(committer, c.proposals)
	if err != nil {
		return nil, err
	}
	out, err := g.apply(committer, list)
	if err != nil {
		return nil, err
	}
	if out.needsPath && c.path == nil {
		return nil, invalid("12.4", "commit without the update path that its proposals ask for")
	}
	staged := &StagedCommit{
		Epoch: g.cur.context.epoch, Committer: committer, AAD: content.content.aad, suite: g.suite, base: g.cur,
		Proposals: out.proposals, ReInit: out.reInit,
	}
	updated := out.updated
	var steps []pathStep
	if c.path != nil {
		if steps, err = g.applyPath(committer, c.path, out); err != nil {
			return nil, err
		}
		updated = append(slices.Clone(updated), committer)
	}
	staged.describe(out.added, out.removed, updated, out.tree)
	if slices.Contains(out.removed, g.own) {
		return staged, nil
	}
	staged.next, err = g.follow(content, list, out, steps)
	return staged, err
}

// applyPath checks the leaf of an update path and puts the path into the tree.
func (g *Group) applyPath(committer LeafIndex, path *updatePath, out *outcome) ([]pathStep, error) {
	if path.leaf.Source != SourceCommit {
		return nil, invalid("12.4.2", "leaf of an update path has another source")
	}
	if err := g.checkNewLeaf(path.leaf, committer, out.extensions); err != nil {
		return nil, err
	}
	steps, err := out.tree.applyPath(committer, path, out.added)
	if err != nil {
		return nil, err
	}
	if err := out.tree.checkUnique(committer); err != nil {
		return nil, err
	}
	if !out.tree.census.credentialsSupported() {
		return nil, invalid("7.3", "a credential type in use is not supported by all members")
	}
	return steps, nil
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
	for _, p := range list {
		if p.typ != ProposalUpdate || p.sender != g.own {
			continue
		}
		private := g.cached(p.ref).newPrivate
		if private == nil {
			return nil, fmt.Errorf("%w: no private key for the own update", ErrCorruptState)
		}
		// A copy: the cache is wiped with the epoch.
		fresh[g.own.node()] = slices.Clone(private)
		known[g.own.node()] = fresh[g.own.node()]
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
	next, j, err := g.nextEpoch(out, content, commitSecret)
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
