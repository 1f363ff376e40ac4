package client

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/franking"
	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

func (f *fakeServer) reportMessage(_ *wire.Peer, req *qpcv1.ReportMessageRequest) (*qpcv1.ReportMessageResponse, error) {
	f.reports = append(f.reports, proto.CloneOf(req))
	return &qpcv1.ReportMessageResponse{}, nil
}

// find is the message with a text.
func (m *member) find(id ConversationID, text string) Message {
	m.t.Helper()
	for _, message := range m.messages(id) {
		if message.Kind == KindText && message.Text == text {
			return message
		}
	}
	m.t.Fatalf("no message %q", text)
	return Message{}
}

// evidenceOf is what a member's vault has about a message.
func (m *member) evidenceOf(id ConversationID, text string) vault.Evidence {
	m.t.Helper()
	e, err := m.evidence(m.t.Context(), id, m.find(id, text).ID)
	if err != nil {
		m.t.Fatal(err)
	}
	return e
}

// A report proves who sent a text, and nothing in it tells anything else: it is
// searched for everything that belongs to the conversation or to the others.
func TestReportRevealsNothingElse(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
	id := group(alice, bob, mallory)
	if err := alice.Rename(t.Context(), id, "a title that stands out"); err != nil {
		t.Fatal(err)
	}
	alice.send(id, "a text of alice that stands out")
	mallory.awaitTexts(id, "a text of alice that stands out")
	mallory.send(id, "buy this")
	bob.awaitTexts(id, "a text of alice that stands out", "buy this")
	if err := bob.ReportMessage(t.Context(), id, bob.find(id, "buy this").ID, CategorySpam, "again and again"); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.reports) != 1 {
		t.Fatalf("%d reports", len(f.reports))
	}
	req := f.reports[0]
	cert, err := identity.ParseCertificate(req.DeviceCertificate)
	if err != nil {
		t.Fatal(err)
	}
	if cert.AccountID != mallory.self.account() || franking.Verify(cert.DeviceKey, cert.AccountID, req.Franked) != nil {
		t.Error("the report does not prove that mallory sent it")
	}
	content, err := franking.ParseContent(req.Franked.Content)
	if err != nil || content.GetText().Body != "buy this" || req.Note != "again and again" || req.Category != qpcv1.ReportMessageRequest_CATEGORY_SPAM {
		t.Errorf("%v, %v", req, err)
	}
	raw, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{
		"channel": id[:], "title": []byte("a title that stands out"), "another's text": []byte("a text of alice"),
	}
	for _, m := range []*member{alice, bob} {
		account, device := m.self.account(), m.self.certificate.DeviceID()
		secrets["account of "+m.self.name] = account[:]
		secrets["device of "+m.self.name] = device[:]
		secrets["device key of "+m.self.name] = m.self.certificate.DeviceKey
		secrets["account key of "+m.self.name] = m.self.certificate.AccountKey
		secrets["name of "+m.self.name] = []byte(m.self.name)
	}
	v := mallory.lookup(id)
	v.mu.Lock()
	if err := v.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	me, _ := v.group.Member(v.group.OwnIndex())
	secrets["queue address"] = []byte(queueAddressOf(me.LeafNode))
	v.mu.Unlock()
	for what, secret := range secrets {
		for _, form := range [][]byte{secret, []byte(hex.EncodeToString(secret))} {
			if len(secret) == 0 || bytes.Contains(raw, form) {
				t.Errorf("the report has the %s", what)
			}
		}
	}
	if limit := len(req.Franked.Content) + 32 + 64 + len(req.DeviceCertificate) + len(req.Note) + 20; len(raw) > limit {
		t.Errorf("%d bytes, of which at most %d can be accounted for", len(raw), limit)
	}
}

func TestReportRefusals(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	alice.send(id, "mine")
	bob.awaitTexts(id, "mine")
	event := bob.messages(id)[0]
	for name, tc := range map[string]struct {
		from    *member
		message MessageID
		note    string
		want    error
	}{
		"one's own":       {alice, alice.find(id, "mine").ID, "", ErrYourself},
		"an event":        {bob, event.ID, "", ErrNotReportable},
		"unknown message": {bob, random16(), "", ErrUnknownMessage},
		"long note":       {bob, bob.find(id, "mine").ID, strings.Repeat("x", MaxNote+1), ErrNoteInvalid},
		"note of rubbish": {bob, bob.find(id, "mine").ID, "\xff", ErrNoteInvalid},
	} {
		if err := tc.from.ReportMessage(t.Context(), id, tc.message, CategoryOther, tc.note); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := bob.ReportMessage(t.Context(), random16(), bob.find(id, "mine").ID, CategoryOther, ""); !errors.Is(err, ErrUnknownMessage) {
		t.Errorf("in another conversation: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.reports) != 0 {
		t.Errorf("%d reports went out", len(f.reports))
	}
}

// What could not be proved to others is not shown either.
func TestUnprovenMessages(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
	id := group(alice, bob, mallory)
	bob.send(id, "said by bob")
	mallory.awaitTexts(id, "said by bob")
	content := func(text string) []byte {
		r := random16()
		data, err := proto.Marshal(&qpcv1.Content{MessageId: r[:], SentAt: 1, Body: &qpcv1.Content_Text{Text: &qpcv1.Text{Body: text}}})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	franked := func(as *member, account AccountID, change func(*qpcv1.FrankedContent)) []byte {
		raw, err := franking.Seal(as.self.signer, account, content("unproven"))
		if err != nil {
			t.Fatal(err)
		}
		var m qpcv1.FrankedContent
		if err := proto.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		if raw, err = proto.Marshal(&m); err != nil {
			t.Fatal(err)
		}
		return raw
	}
	keep := func(*qpcv1.FrankedContent) {}
	own := mallory.self.account()
	for _, data := range [][]byte{
		content("bare"),
		franked(mallory, own, func(m *qpcv1.FrankedContent) { m.Signature = nil }),
		franked(mallory, own, func(m *qpcv1.FrankedContent) { m.Key = nil }),
		franked(mallory, own, func(m *qpcv1.FrankedContent) { m.Key[0] ^= 1 }),
		franked(mallory, own, func(m *qpcv1.FrankedContent) { m.Content = content("another") }),
		franked(mallory, bob.self.account(), keep),
		franked(bob, own, keep), // by a key that is not the leaf's
		franked(bob, bob.self.account(), keep),
		mallory.evidenceOf(id, "said by bob").Proof, // bob's words again, from mallory
	} {
		mallory.say(id, func(g *mls.Group) ([]byte, error) { return g.Seal(data, nil) })
	}
	mallory.send(id, "proven")
	for _, m := range []*member{alice, bob} {
		m.awaitTexts(id, "said by bob", "proven")
		if !slices.Contains(m.events(id), EventUnreadable) {
			t.Error("nobody was told")
		}
	}
	if e := alice.evidenceOf(id, "said by bob"); !bytes.Equal(e.Certificate, bob.self.certificate.Raw) {
		t.Error("the evidence has another certificate")
	}
}
