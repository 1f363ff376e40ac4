package client

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"quicprochat/core/franking"
	qpcv1 "quicprochat/proto/qpc/v1"
)

func TestTextRoundTrip(t *testing.T) {
	public, signer, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		in := text{
			id:     random16(),
			sentAt: time.UnixMilli(rapid.Int64Range(0, 1<<41).Draw(t, "sent at")),
			body:   "x" + rapid.String().Draw(t, "body"),
		}
		raw, err := in.marshal(signer, AccountID{1})
		if err != nil {
			t.Fatal(err)
		}
		franked, err := franking.Open(public, AccountID{1}, raw)
		if err != nil {
			t.Fatal(err)
		}
		out, err := parseText(franked.Content)
		if err != nil || out.id != in.id || out.body != in.body || !out.sentAt.Equal(in.sentAt) {
			t.Fatalf("%+v, %v", out, err)
		}
	})
}

func TestGroupStateRoundTrip(t *testing.T) {
	id := ConversationID(random16())
	in := groupState{kind: KindGroup, title: "a title", admins: []AccountID{{1}, {2}}}
	raw, err := in.marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	out, err := parseGroupState(id, raw)
	if err != nil || out.kind != in.kind || out.title != in.title || !slices.Equal(out.admins, in.admins) {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := parseGroupState(ConversationID{}, raw); !errors.Is(err, errContent) {
		t.Errorf("the state of another group: %v", err)
	}
	for _, bad := range []groupState{{kind: KindGroup}, {kind: KindGroup, title: "line\nbreak"}, {kind: KindGroup, title: strings.Repeat("x", maxTitle+1)}} {
		raw, err := bad.marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseGroupState(id, raw); !errors.Is(err, errContent) {
			t.Errorf("title %q: %v", bad.title, err)
		}
	}
}

func FuzzContent(f *testing.F) {
	raw, err := proto.Marshal(&qpcv1.Content{MessageId: make([]byte, 16), SentAt: 1, Body: &qpcv1.Content_Text{Text: &qpcv1.Text{Body: "hello"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	id := ConversationID{1}
	state, err := groupState{kind: KindGroup, title: "t", admins: []AccountID{{1}}}.marshal(id)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state)
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := parseText(data); err == nil && checkText(m.body) != nil {
			t.Error("a text that may not be sent was accepted")
		}
		if s, err := parseGroupState(id, data); err == nil && s.kind == KindGroup && checkTitle(s.title) != nil {
			t.Error("a title that may not be given was accepted")
		}
		_, _ = parseLeafState(data)
		newPeople(AccountID{}, nil).event(string(data)).sentence()
	})
}

func TestEventSentences(t *testing.T) {
	me, bob, carol := Person{Name: "alice", Me: true}, Person{Name: "bob"}, Person{Name: "carol"}
	for _, c := range []struct {
		e    SystemEvent
		want string
	}{
		{SystemEvent{Kind: EventCreated, Actor: me, Title: "x"}, "You created the group “x”."},
		{SystemEvent{Kind: EventAdded, Actor: bob, Subjects: []Person{me, carol}}, "bob added you and carol."},
		{SystemEvent{Kind: EventRemoved, Actor: me, Subjects: []Person{bob}}, "You removed bob."},
		{SystemEvent{Kind: EventLeft, Actor: me, Subjects: []Person{me}}, "You left."},
		{SystemEvent{Kind: EventLeft, Actor: bob, Subjects: []Person{bob}}, "bob left."},
		{SystemEvent{Kind: EventRenamed, Actor: bob, Title: "y"}, "bob renamed the group to “y”."},
		{SystemEvent{Kind: EventDeviceAdded, Actor: me, Title: "laptop"}, "You now also use the device “laptop”."},
		{SystemEvent{Kind: EventDeviceAdded, Actor: bob}, "bob now also uses a device without a name."},
		{SystemEvent{Kind: EventUnreadable}, "A message could not be read."},
	} {
		if got := c.e.sentence(); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

// An event is stored with ids, and read with the names as they are known then.
func TestEventsFollowNames(t *testing.T) {
	p := newPeople(AccountID{1}, nil)
	e := SystemEvent{Kind: EventAdded, Actor: Person{AccountID: AccountID{2}, Name: "bob"}, Subjects: []Person{{AccountID: AccountID{1}, Name: "alice"}}}
	if got := p.event(e.marshal()).sentence(); got != "bob added you." {
		t.Error(got)
	}
}
