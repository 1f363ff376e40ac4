package mls

import (
	"bytes"
	"testing"
)

// messagesVector is one of each message and structure, by name.
type messagesVector map[string]*hexBytes

// messageNames gives the decoder of each field.
var messageNames = map[string]func(b []byte) (wire, error){
	"mls_welcome": decodeMessage, "mls_group_info": decodeMessage, "mls_key_package": decodeMessage,
	"public_message_application": decodeMessage, "public_message_proposal": decodeMessage,
	"public_message_commit": decodeMessage, "private_message": decodeMessage,
	"ratchet_tree":  func(b []byte) (wire, error) { return parseTree(suites[0], b) },
	"group_secrets": func(b []byte) (wire, error) { return unmarshal(b, readGroupSecrets) },
	"commit":        func(b []byte) (wire, error) { return unmarshal(b, readCommit) },
	"add_proposal":  decodeBody(ProposalAdd), "update_proposal": decodeBody(ProposalUpdate),
	"remove_proposal": decodeBody(ProposalRemove), "pre_shared_key_proposal": decodeBody(ProposalPSK),
	"re_init_proposal": decodeBody(ProposalReInit), "external_init_proposal": decodeBody(ProposalExternalInit),
	"group_context_extensions_proposal": decodeBody(ProposalGroupContextExtensions),
}

func decodeMessage(b []byte) (wire, error) { return unmarshal(b, readMessage) }

// decodeBody is for proposals, which are written without their type.
func decodeBody(typ ProposalType) func([]byte) (wire, error) {
	return func(b []byte) (wire, error) {
		p, err := unmarshal(append([]byte{byte(typ >> 8), byte(typ)}, b...), readProposal)
		return proposalBody{p}, err
	}
}

type proposalBody struct{ *Proposal }

func (p proposalBody) encode(w *writer) { w.raw(marshal(p.Proposal)[2:]) }

func (v *messagesVector) follow(t *testing.T, _ *suite) {
	for name, in := range *v {
		if in != nil {
			codes(t, name, *in, messageNames[name])
		}
	}
}

// codes checks that in is decoded and encoded as it was, and neither a part of it nor more.
func codes(t *testing.T, name string, in []byte, decode func([]byte) (wire, error)) {
	v, err := decode(in)
	if err != nil {
		t.Errorf("%s: %v\n%x", name, err, in)
		return
	}
	equal(t, name, marshal(v), in)
	if _, err := decode(append(bytes.Clone(in), 0)); err == nil {
		t.Errorf("%s: trailing byte accepted", name)
	}
	if _, err := decode(in[:len(in)-1]); err == nil {
		t.Errorf("%s: truncation accepted", name)
	}
}

type messageProtectionVector struct {
	CipherSuite     Suite    `json:"cipher_suite"`
	GroupID         hexBytes `json:"group_id"`
	Epoch           uint64   `json:"epoch"`
	TreeHash        hexBytes `json:"tree_hash"`
	Confirmed       hexBytes `json:"confirmed_transcript_hash"`
	SignaturePriv   hexBytes `json:"signature_priv"`
	SignaturePub    hexBytes `json:"signature_pub"`
	Encryption      hexBytes `json:"encryption_secret"`
	SenderData      hexBytes `json:"sender_data_secret"`
	Membership      hexBytes `json:"membership_key"`
	Proposal        hexBytes `json:"proposal"`
	ProposalPriv    hexBytes `json:"proposal_priv"`
	ProposalPub     hexBytes `json:"proposal_pub"`
	Commit          hexBytes `json:"commit"`
	CommitPriv      hexBytes `json:"commit_priv"`
	CommitPub       hexBytes `json:"commit_pub"`
	Application     hexBytes `json:"application"`
	ApplicationPriv hexBytes `json:"application_priv"`
}

func (v *messageProtectionVector) follow(t *testing.T, s *suite) {
	const leaf = 1
	context := marshal(&groupContext{
		suite: s.id, groupID: v.GroupID, epoch: v.Epoch, treeHash: v.TreeHash, confirmedTranscriptHash: v.Confirmed,
	})
	openPrivate := func(b []byte) *authenticatedContent {
		tree := newSecretTree(s, v.Epoch, 2, bytes.Clone(v.Encryption))
		m, err := unmarshal(b, readMessage)
		if err != nil {
			t.Fatal(err)
		}
		d, err := m.private.sender(s, v.SenderData)
		if err != nil || d.leaf != leaf {
			t.Fatalf("sender %d: %v", d.leaf, err)
		}
		step, err := tree.receive(d.leaf, m.private.typ.ratchet(), d.generation, 1000, 20)
		if err != nil {
			t.Fatal(err)
		}
		content, err := m.private.unprotect(s, d, step.keyUse)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	openPublic := func(b []byte) *authenticatedContent {
		m, err := unmarshal(b, readMessage)
		if err != nil {
			t.Fatal(err)
		}
		if !m.public.verifyMembership(s, v.Membership, context) {
			t.Error("membership tag refused")
		}
		if m.public.verifyMembership(s, v.SenderData, context) {
			t.Error("membership tag accepted with another key")
		}
		return &m.public.authenticatedContent
	}
	check := func(what string, got *authenticatedContent, body []byte) {
		if !got.verify(s, v.SignaturePub, context) {
			t.Errorf("%s: signature refused", what)
		}
		if got.verify(s, v.SignaturePub, context[:len(context)-1]) {
			t.Errorf("%s: signature accepted in another context", what)
		}
		equal(t, what, got.content.body, body)
	}
	var w writer
	w.vec(v.Application)
	check("proposal_priv", openPrivate(v.ProposalPriv), v.Proposal)
	check("proposal_pub", openPublic(v.ProposalPub), v.Proposal)
	check("commit_priv", openPrivate(v.CommitPriv), v.Commit)
	check("commit_pub", openPublic(v.CommitPub), v.Commit)
	check("application_priv", openPrivate(v.ApplicationPriv), w.b)

	// And what is protected here opens again.
	for typ, body := range map[contentType][]byte{contentProposal: v.Proposal, contentCommit: v.Commit, contentApplication: w.b} {
		content := &authenticatedContent{wireFormat: wirePrivate, content: framedContent{
			groupID: v.GroupID, epoch: v.Epoch, sender: sender{SenderMember, leaf}, typ: typ, body: body,
		}}
		if typ == contentCommit {
			content.confirmationTag = v.Membership
		}
		if err := content.sign(s, vectorSigner(t, s, v.SignaturePriv), context); err != nil {
			t.Fatal(err)
		}
		tree := newSecretTree(s, v.Epoch, 2, bytes.Clone(v.Encryption))
		step, err := tree.send(leaf, typ.ratchet())
		if err != nil {
			t.Fatal(err)
		}
		m, err := content.protect(s, v.SenderData, step.keyUse, paddedLen)
		if err != nil {
			t.Fatal(err)
		}
		check("own", openPrivate(marshal(&message{wireFormat: wirePrivate, private: m})), body)
		if typ == contentApplication {
			continue
		}
		content.wireFormat = wirePublic
		if err := content.sign(s, vectorSigner(t, s, v.SignaturePriv), context); err != nil {
			t.Fatal(err)
		}
		public := &publicMessage{authenticatedContent: *content}
		public.authenticate(s, v.Membership, context)
		check("own", openPublic(marshal(&message{wireFormat: wirePublic, public: public})), body)
	}
}

type welcomeVector struct {
	CipherSuite Suite    `json:"cipher_suite"`
	InitPriv    hexBytes `json:"init_priv"`
	KeyPackage  hexBytes `json:"key_package"`
	SignerPub   hexBytes `json:"signer_pub"`
	Welcome     hexBytes `json:"welcome"`
}

func (v *welcomeVector) follow(t *testing.T, s *suite) {
	m, err := unmarshal(v.Welcome, readMessage)
	if err != nil {
		t.Fatal(err)
	}
	kp, err := unmarshal(v.KeyPackage, readMessage)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := m.welcome.openSecrets(s, kp.keyPackage.Ref(), v.InitPriv)
	if err != nil {
		t.Fatal(err)
	}
	j := s.joinerFrom(secrets.joinerSecret, s.pskSecret(nil))
	info, err := m.welcome.openGroupInfo(s, j.welcomeSecret)
	if err != nil {
		t.Fatal(err)
	}
	if !info.verify(s, v.SignerPub) {
		t.Error("signature of the GroupInfo refused")
	}
	epoch := s.epochOf(j, marshal(&info.context))
	if !s.verifyMAC(epoch.confirmation, info.context.confirmedTranscriptHash, info.confirmationTag) {
		t.Error("confirmation tag refused")
	}
}
