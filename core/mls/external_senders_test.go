package mls

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestExternalSendersExtension(t *testing.T) {
	a, b := newOutsider(t, SuiteX25519, "a"), newOutsider(t, SuiteP256, "b")
	e := ExternalSendersExtension([]ExternalSender{a.ExternalSender, b.ExternalSender})
	list, err := ParseExternalSenders(e.Data)
	if err != nil || len(list) != 2 || !bytes.Equal(list[1].SignatureKey, b.SignatureKey) ||
		string(list[0].Credential.Identity) != "a" || e.Type != ExtExternalSenders {
		t.Errorf("%+v, %v", list, err)
	}
	for _, bad := range [][]byte{nil, {1}, e.Data[:len(e.Data)-1], append(bytes.Clone(e.Data), 0)} {
		if _, err := ParseExternalSenders(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// refusingSender is an authentication service that does not want one external sender.
type refusingSender struct {
	anyone
	name  string
	asked *[]string
}

func (r refusingSender) ValidateExternalSender(groupID []byte, s ExternalSender) error {
	name := string(s.Credential.Identity)
	*r.asked = append(*r.asked, name)
	if name == r.name || string(groupID) != "a group" {
		return errRefused
	}
	return nil
}

// Whoever brings an external sender, the authentication service is asked.
func TestExternalSendersAreJudged(t *testing.T) {
	peers, out := withOutsiders(t, SuiteX25519, 2)
	alice, bob := peers[0], peers[1]
	refused := newOutsider(t, SuiteX25519, "refused")
	var asked []string
	auth := refusingSender{name: "refused", asked: &asked}
	bob.cfg.Auth = auth
	bob.restore()
	with := func(list ...ExternalSender) Proposal {
		return GroupContextExtensionsProposal([]Extension{ExternalSendersExtension(list)})
	}
	// Those who are in already are not asked about again.
	s := alice.commit(CommitOptions{Proposals: []Proposal{with(out[1].ExternalSender, refused.ExternalSender)}})
	bob.refuses(s.Message, errRefused)
	if !slices.Equal(asked, []string{"refused"}) {
		t.Errorf("asked about %v", asked)
	}
	m := out[0].proposes(t, bob.g, 0, with(refused.ExternalSender))
	bob.refuses(m, errRefused)
	_, err := bob.g.Commit(CommitOptions{Proposals: []Proposal{with(refused.ExternalSender)}})
	expect(t, err, errRefused)
	if len(bob.g.TakeChanges()) != 0 {
		t.Error("records changed")
	}

	eve, frank := newPeer(t, SuiteX25519, "eve"), newPeer(t, SuiteX25519, "frank")
	alice.merge()
	s = alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(eve.keyPackage())}})
	_, err = Join(Config{Auth: auth}, eve.signer, eve.bundle, s.Welcome, nil)
	expect(t, err, errRefused)
	_, _, err = JoinByCommit(Config{Auth: auth}, frank.joining(ExternalJoinOptions{GroupInfo: alice.groupInfo(true)}))
	expect(t, err, errRefused)
	_, err = Create(Config{Auth: auth}, CreateParams{
		GroupID: []byte("a group"), Suite: SuiteX25519, Credential: BasicCredential(nil), Signer: eve.signer,
		GroupContextExtensions: []Extension{ExternalSendersExtension([]ExternalSender{refused.ExternalSender})},
	})
	expect(t, err, errRefused)
	_, err = Create(Config{Auth: auth}, CreateParams{
		GroupID: []byte("a group"), Suite: SuiteX25519, Credential: BasicCredential(nil), Signer: eve.signer,
		GroupContextExtensions: []Extension{{Type: ExtExternalSenders, Data: []byte{1}}},
	})
	expect(t, err, ErrMalformed)
}
