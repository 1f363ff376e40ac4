package client

import (
	"quicprochat/core/mls"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// forge publishes a commit that the member's own client would never make. The
// member itself does not follow it.
func (m *member) forge(id ConversationID, o mls.CommitOptions, edit func(*qpcv1.CommitBody)) {
	m.t.Helper()
	v := m.lookup(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.close()
	if err := v.open(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	key, err := v.signingKey()
	if err != nil {
		m.t.Fatal(err)
	}
	staged, err := v.group.Commit(o)
	if err != nil {
		m.t.Fatal(err)
	}
	next, err := v.channelKey(staged)
	if err != nil {
		m.t.Fatal(err)
	}
	item := random16()
	body := &qpcv1.CommitBody{
		ChannelId: id[:], Epoch: staged.Epoch, ItemId: item[:], MlsMessage: staged.Message, NextVerifyKey: next[32:],
	}
	if edit != nil {
		edit(body)
	}
	raw, signature, err := signed(key, labelCommit, body)
	if err != nil {
		m.t.Fatal(err)
	}
	req := &qpcv1.CommitRequest{Body: raw, Signature: signature}
	if err := m.anonymous.call(m.t.Context(), req, new(qpcv1.CommitResponse)); err != nil {
		m.t.Fatal(err)
	}
}

// comesBack is a commit by which the member replaces its own leaf from outside of the
// group, as a client without its state would.
func (m *member) comesBack(id ConversationID) []byte {
	m.t.Helper()
	v := m.lookup(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	info, err := v.group.GroupInfo(true)
	if err != nil {
		m.t.Fatal(err)
	}
	own := v.group.OwnIndex()
	leaf, _ := v.group.Member(own)
	_, commit, err := mls.JoinByCommit(m.groups, mls.ExternalJoinOptions{
		GroupInfo: info, Replace: &own, Signer: m.self.signer, Credential: leaf.Credential,
		LeafExtensions: leaf.Extensions, ExtraCapabilities: capabilities(),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return commit
}

// trusting judges no leaf: what a liar's software would do.
type trusting struct{}

func (trusting) ValidateLeaf(mls.LeafContext, *mls.LeafNode) error { return nil }

func (trusting) ValidateExternalSender([]byte, mls.ExternalSender) error { return nil }

// letIn is a commit by which somebody enters from outside with a GroupInfo of the
// member's, in the place of another's leaf where there is one; nil where even a liar's
// software cannot make it.
func (m *member) letIn(id ConversationID, who, instead *member) []byte {
	m.t.Helper()
	addresses, err := who.newAddresses(m.t.Context(), 1)
	if err != nil {
		m.t.Fatal(err)
	}
	v := m.lookup(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.open(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	info, err := v.group.GroupInfo(true)
	if err != nil {
		m.t.Fatal(err)
	}
	o := mls.ExternalJoinOptions{
		GroupInfo: info, Signer: who.self.signer, Credential: who.mlsCredential(),
		LeafExtensions: who.leafState(addresses[0]), ExtraCapabilities: capabilities(),
	}
	if instead != nil {
		o.Replace = &v.leavesOf(instead.Me().AccountID)[0].Index
	}
	_, commit, err := mls.JoinByCommit(mls.Config{Auth: trusting{}, Now: m.now}, o)
	if err != nil {
		return nil
	}
	return commit
}

// leafState is the extensions of a leaf of this member with this queue address.
func (m *member) leafState(address []byte) []mls.Extension {
	m.t.Helper()
	list, err := m.leafExtensions(address)
	if err != nil {
		m.t.Fatal(err)
	}
	return list
}

// otherDevice is a KeyPackage of a device of the member's account that only a
// liar would make: its leaf has this queue address and these capabilities.
func (m *member) otherDevice(address []byte, c mls.Capabilities) []byte {
	m.t.Helper()
	other := &member{t: m.t, f: m.f, o: m.f.options("second")}
	client, err := Login(m.t.Context(), other.o, m.f.link, m.Me().Name, testPassword)
	if err != nil {
		m.t.Fatal(err)
	}
	other.Client = client
	defer other.close()
	bundle, err := mls.NewKeyPackage(mls.KeyPackageOptions{
		Suite: suite, Credential: other.mlsCredential(), Signer: other.self.signer,
		LeafExtensions: other.leafState(address), ExtraCapabilities: c,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return bundle.KeyPackage()
}

func (m *member) addressOf(id ConversationID, account AccountID) []byte {
	m.t.Helper()
	v := m.lookup(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.open(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	return []byte(queueAddressOf(v.leavesOf(account)[0].LeafNode))
}
