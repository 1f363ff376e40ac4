package mls

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestVectorsMessages(t *testing.T) {
	roundTrip := func(name string, in []byte, decode func([]byte) (wire, error)) {
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
	asMessage := func(b []byte) (wire, error) { return unmarshal(b, readMessage) }
	asProposal := func(typ ProposalType) func([]byte) (wire, error) {
		return func(b []byte) (wire, error) {
			return unmarshal(append([]byte{byte(typ >> 8), byte(typ)}, b...), readProposal)
		}
	}
	bodies := map[string]ProposalType{
		"add_proposal": ProposalAdd, "update_proposal": ProposalUpdate, "remove_proposal": ProposalRemove,
		"pre_shared_key_proposal": ProposalPSK, "re_init_proposal": ProposalReInit,
		"external_init_proposal": ProposalExternalInit, "group_context_extensions_proposal": ProposalGroupContextExtensions,
	}
	var c tally
	for _, v := range vectors[map[string]string](t, "messages.json") {
		for name, text := range v {
			c.run++
			in, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			if typ, ok := bodies[name]; ok {
				p, err := asProposal(typ)(in)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				equal(t, name, marshal(p)[2:], in)
				continue
			}
			switch name {
			case "ratchet_tree":
				tree, err := parseTree(suites[0], in)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				equal(t, name, marshal(tree), in)
			case "group_secrets":
				roundTrip(name, in, func(b []byte) (wire, error) { return unmarshal(b, readGroupSecrets) })
			case "commit":
				roundTrip(name, in, func(b []byte) (wire, error) { return unmarshal(b, readCommit) })
			default:
				roundTrip(name, in, asMessage)
			}
		}
	}
	c.report(t)
}

func TestVectorsMessageProtection(t *testing.T) {
	type vector struct {
		CipherSuite     Suite    `json:"cipher_suite"`
		GroupID         hexBytes `json:"group_id"`
		Epoch           uint64
		TreeHash        hexBytes `json:"tree_hash"`
		Confirmed       hexBytes `json:"confirmed_transcript_hash"`
		SignaturePriv   hexBytes `json:"signature_priv"`
		SignaturePub    hexBytes `json:"signature_pub"`
		Encryption      hexBytes `json:"encryption_secret"`
		SenderData      hexBytes `json:"sender_data_secret"`
		Membership      hexBytes `json:"membership_key"`
		Proposal        hexBytes
		ProposalPriv    hexBytes `json:"proposal_priv"`
		ProposalPub     hexBytes `json:"proposal_pub"`
		Commit          hexBytes
		CommitPriv      hexBytes `json:"commit_priv"`
		CommitPub       hexBytes `json:"commit_pub"`
		Application     hexBytes
		ApplicationPriv hexBytes `json:"application_priv"`
	}
	const leaf = 1
	var c tally
	for _, v := range vectors[vector](t, "message-protection.json") {
		s := c.suite(v.CipherSuite)
		if s == nil {
			continue
		}
		c.run++
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
	c.report(t)
}

func TestVectorsWelcome(t *testing.T) {
	type vector struct {
		CipherSuite Suite    `json:"cipher_suite"`
		InitPriv    hexBytes `json:"init_priv"`
		KeyPackage  hexBytes `json:"key_package"`
		SignerPub   hexBytes `json:"signer_pub"`
		Welcome     hexBytes
	}
	var c tally
	for _, v := range vectors[vector](t, "welcome.json") {
		s := c.suite(v.CipherSuite)
		if s == nil {
			continue
		}
		c.run++
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
	c.report(t)
}
