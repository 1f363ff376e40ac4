package mls

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
)

// ExternalJoinOptions is what it takes to enter a group by an external commit.
type ExternalJoinOptions struct {
	GroupInfo         []byte // the MLSMessage that Group.GroupInfo makes
	Tree              []byte // the ratchet tree, where GroupInfo does not carry it
	Signer            crypto.Signer
	Credential        Credential
	LeafExtensions    []Extension
	ExtraCapabilities Capabilities // must cover the group's context extensions
	// Replace is the own earlier leaf, for a client that has lost its state or fallen
	// behind. It is removed by the same commit. The members' AuthenticationServices
	// judge whether both leaves are the same client's.
	Replace *LeafIndex
	// PSKs are ExternalPSKProposals and ResumptionPSKProposals: secrets that go into the
	// next epoch, as Config knows them. With the resumption PSK of an epoch that it
	// has been in, a client that comes back proves that it has more than the signature key.
	PSKs []Proposal
	// SelfRemoves are proposals to leave, sent as PublicMessages in the epoch of
	// GroupInfo, which whoever joins has to commit (draft-ietf-mls-extensions).
	SelfRemoves [][]byte
	AAD         []byte
}

// JoinByCommit enters a group without being added, by an external commit (RFC 9420
// §12.4.3.2), and returns the group in the epoch that this commit begins, with the commit for the
// members, an MLSMessage. Store the group, then publish the commit; if the delivery
// service refuses it, because the epoch was over, delete the group and begin again with a new
// GroupInfo.
//
// GroupInfo and tree are validated as by Join, save for the confirmation tag: only
// members can check it. Whoever signed the GroupInfo can therefore lead a newcomer
// into an epoch that does not exist, where nobody will answer. That no other group
// of this id exists is the caller's to check.
// ErrNoTree, ErrInvalidSignature, ErrMissingPSK, ErrSigner, *ValidationError …
func JoinByCommit(cfg Config, o ExternalJoinOptions) (*Group, []byte, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	g, externalPub, err := observe(cfg, o)
	if err != nil {
		return nil, nil, err
	}
	init, initSecret, err := g.suite.newExternalInit(externalPub)
	if err != nil {
		return nil, nil, err
	}
	defer clear(initSecret)
	list, err := g.joinProposals(init, o)
	if err != nil {
		return nil, nil, err
	}
	out, err := g.apply(sender{typ: SenderNewMemberCommit}, list)
	if err != nil {
		return nil, nil, err
	}
	leaf, private, err := newLeaf(g.suite, o.Signer, o.Credential, o.LeafExtensions,
		ownCapabilities(o.ExtraCapabilities, o.LeafExtensions, nil, o.Credential.Type))
	if err != nil {
		return nil, nil, err
	}
	clear(private) // the path brings another
	if err := leaf.supports(g.cur.context.extensions); err != nil {
		return nil, nil, err
	}
	path, err := g.pathOf(out, leaf)
	if err != nil {
		return nil, nil, err
	}
	defer path.wipe()
	if err := out.checkCommitter(); err != nil {
		path.keys.wipe()
		return nil, nil, err
	}
	joined, commit, err := g.enterByCommit(list, out, path, initSecret, o.AAD)
	if err != nil {
		path.keys.wipe()
	}
	return joined, commit, err
}

// observe makes of a GroupInfo a group as somebody outside sees it: without any of
// its secrets.
func observe(cfg Config, o ExternalJoinOptions) (g *Group, externalPub []byte, err error) {
	m, err := unmarshal(bytes.Clone(o.GroupInfo), readMessage)
	if err != nil {
		return nil, nil, err
	}
	if m.groupInfo == nil {
		return nil, nil, fmt.Errorf("%w: not a GroupInfo", ErrUnsupported)
	}
	info := m.groupInfo
	s, err := suiteOf(info.context.suite)
	if err != nil {
		return nil, nil, err
	}
	e := &epoch{context: info.context, contextRaw: marshal(&info.context), confirmationTag: info.confirmationTag, secrets: &epochSecrets{}}
	if e.tree, err = cfg.joinTree(s, info, bytes.Clone(o.Tree)); err != nil {
		return nil, nil, err
	}
	if externalPub, err = info.externalPub(s); err != nil {
		return nil, nil, err
	}
	e.interim = s.interimHash(e.context.confirmedTranscriptHash, e.confirmationTag)
	return &Group{cfg: cfg, suite: s, signer: o.Signer, cur: e, log: changeLog{}}, externalPub, nil
}

// joinProposals lists the proposals of an external commit.
func (g *Group) joinProposals(init *Proposal, o ExternalJoinOptions) ([]sourcedProposal, error) {
	joins := sender{typ: SenderNewMemberCommit}
	list := []sourcedProposal{{Proposal: init, sender: joins}}
	for _, m := range o.SelfRemoves {
		p, err := g.observeSelfRemove(m)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if o.Replace != nil {
		list = append(list, sourcedProposal{Proposal: &Proposal{typ: ProposalRemove, removed: *o.Replace}, sender: joins})
	}
	for _, p := range o.PSKs {
		if p.typ != ProposalPSK {
			return nil, joins.typ.notAllowed(p.typ)
		}
		p = p.withNonce(g.suite)
		list = append(list, sourcedProposal{Proposal: &p, sender: joins})
	}
	return list, nil
}

// observeSelfRemove checks a member's public proposal to leave, but for the
// membership tag, which only members can check.
func (g *Group) observeSelfRemove(mlsMessage []byte) (sourcedProposal, error) {
	m, err := unmarshal(bytes.Clone(mlsMessage), readMessage)
	if err != nil {
		return sourcedProposal{}, err
	}
	if m.public == nil || m.public.content.proposal == nil || m.public.content.proposal.typ != ProposalSelfRemove {
		return sourcedProposal{}, fmt.Errorf("%w: not a public self-remove", ErrUnsupported)
	}
	content := &m.public.authenticatedContent
	c := &content.content
	switch {
	case !bytes.Equal(c.groupID, g.cur.context.groupID):
		return sourcedProposal{}, ErrWrongGroup
	case c.epoch < g.cur.context.epoch:
		return sourcedProposal{}, ErrOldEpoch
	case c.epoch > g.cur.context.epoch:
		return sourcedProposal{}, ErrFutureEpoch
	case c.sender.typ != SenderMember:
		return sourcedProposal{}, c.sender.typ.notAllowed(ProposalSelfRemove)
	}
	leaf := g.cur.tree.leaf(c.sender.leaf())
	if leaf == nil {
		return sourcedProposal{}, invalid("6.1", "sender %d is not a member", c.sender.index)
	}
	if !content.verify(g.suite, leaf.SignatureKey, g.cur.contextRaw) {
		return sourcedProposal{}, ErrInvalidSignature
	}
	return sourcedProposal{Proposal: c.proposal, sender: c.sender, ref: g.suite.proposalRef(marshal(content))}, nil
}

// enterByCommit signs the external commit and makes the group of the epoch it begins.
func (g *Group) enterByCommit(list []sourcedProposal, out *outcome, path *newPath, initSecret, aad []byte) (*Group, []byte, error) {
	c := &commit{proposals: proposalsOrRefs(list), path: &path.path}
	content := &authenticatedContent{wireFormat: wirePublic, content: framedContent{
		groupID: g.cur.context.groupID, epoch: g.cur.context.epoch, sender: sender{typ: SenderNewMemberCommit},
		aad: slices.Clone(aad), typ: contentCommit, body: marshal(c), commit: c,
	}}
	next, j, err := g.confirm(out, content, initSecret, path)
	if err != nil {
		return nil, nil, err
	}
	j.wipe()
	m := &message{wireFormat: wirePublic, public: &publicMessage{authenticatedContent: *content}}
	return newGroup(g.cfg, g.suite, g.signer, out.committer, next), marshal(m), nil
}
