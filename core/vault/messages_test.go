package vault

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func contextOf(t *rapid.T) context.Context { return t.Context() }

// model is what a conversation should be, kept the simple way.
type model struct {
	id       [16]byte
	messages []Message // in order of insertion
}

func (m *model) sorted() []Message {
	return slices.SortedFunc(slices.Values(m.messages), func(a, b Message) int { return a.Position.Compare(b.Position) })
}

// place says where the package promises to put the message.
func (m *model) place(msg *Message, old uint64) uint64 {
	switch {
	case msg.Seq != 0:
		return msg.Seq
	case msg.State == MessageQueued || msg.State == MessageFailed:
		return orderUnsent
	case old != 0 && old != orderUnsent:
		return old
	}
	var newest uint64
	for _, o := range m.messages {
		if o.Position.Order < orderUnsent {
			newest = max(newest, o.Position.Order)
		}
	}
	return newest
}

func (m *model) unread() (n int) {
	for _, msg := range m.messages {
		if msg.Unread {
			n++
		}
	}
	return n
}

func (m *model) activity() time.Time {
	list := m.sorted()
	if len(list) == 0 {
		return testTime
	}
	last := list[len(list)-1]
	at := last.ReceivedAt
	if at.IsZero() {
		at = last.SentAt
	}
	if at.Before(testTime) {
		return testTime
	}
	return at
}

func TestMessagesAgainstModel(t *testing.T) {
	v, _ := newVault(t)
	round := byte(0)
	rapid.Check(t, func(t *rapid.T) {
		round++
		if err := v.Update(contextOf(t), func(tx *Tx) error {
			list, err := tx.Conversations()
			for _, c := range list {
				if err := tx.DeleteConversation(c.ID); err != nil {
					return err
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		models := []*model{{id: [16]byte{round, 1}}, {id: [16]byte{round, 2}}}
		run := func(fn func(tx *Tx) error) {
			if err := v.Update(contextOf(t), fn); err != nil {
				t.Fatal(err)
			}
		}
		run(func(tx *Tx) error {
			for _, m := range models {
				if err := tx.PutConversation(Conversation{ID: m.id, Kind: ConversationGroup, State: ConversationActive, CreatedAt: testTime}); err != nil {
					return err
				}
			}
			return nil
		})
		pick := func() *model { return rapid.SampledFrom(models).Draw(t, "conversation") }
		state := rapid.SampledFrom([]MessageState{MessageQueued, MessageSent, MessageFailed, MessageReceived})
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				m := pick()
				next++
				msg := Message{
					Conversation: m.id, MessageID: messageID(next), Sender: [16]byte{byte(next)}, Kind: MessageText,
					Body:   rapid.StringN(0, 300, -1).Draw(t, "body"),
					SentAt: testTime.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "sent")) * time.Second),
					Seq:    rapid.Uint64Range(0, 20).Draw(t, "seq"),
					State:  state.Draw(t, "state"), Unread: rapid.Bool().Draw(t, "unread"),
				}
				if rapid.Bool().Draw(t, "has received time") {
					msg.ReceivedAt = testTime.Add(time.Duration(next) * time.Second)
				}
				want := msg
				run(func(tx *Tx) error { return tx.InsertMessage(&msg) })
				want.ID, want.Position = msg.ID, Position{Order: m.place(&want, 0), ID: msg.ID}
				if msg != want {
					t.Fatalf("got %+v, want %+v", msg, want)
				}
				m.messages = append(m.messages, want)
			},
			"update": func(t *rapid.T) {
				m := pick()
				if len(m.messages) == 0 {
					t.Skip("nothing to update")
				}
				i := rapid.IntRange(0, len(m.messages)-1).Draw(t, "message")
				msg := m.messages[i]
				msg.State, msg.Error = state.Draw(t, "state"), "why"
				if msg.Seq == 0 {
					msg.Seq = rapid.Uint64Range(0, 20).Draw(t, "seq")
				}
				want := msg
				want.Position.Order = m.place(&want, m.messages[i].Position.Order)
				run(func(tx *Tx) error { return tx.UpdateMessage(&msg) })
				if msg != want {
					t.Fatalf("got %+v, want %+v", msg, want)
				}
				m.messages[i] = want
			},
			"read": func(t *rapid.T) {
				m := pick()
				upTo := EndPosition()
				if len(m.messages) > 0 && rapid.Bool().Draw(t, "in the middle") {
					upTo = rapid.SampledFrom(m.messages).Draw(t, "message").Position
				}
				want := 0
				for i := range m.messages {
					if m.messages[i].Unread && m.messages[i].Position.Compare(upTo) <= 0 {
						m.messages[i].Unread = false
						want++
					}
				}
				run(func(tx *Tx) error {
					got, err := tx.MarkRead(m.id, upTo)
					if got != want {
						t.Errorf("%d marked as read, want %d", got, want)
					}
					return err
				})
			},
			"page": func(t *rapid.T) {
				m := pick()
				page := Page{Limit: rapid.IntRange(1, 8).Draw(t, "limit")}
				list := m.sorted()
				bound := rapid.Custom(func(t *rapid.T) Position {
					if len(list) == 0 || rapid.Bool().Draw(t, "foreign") {
						return Position{Order: rapid.Uint64Range(0, 21).Draw(t, "order"), ID: rapid.Int64Range(0, 30).Draw(t, "id")}
					}
					return rapid.SampledFrom(list).Draw(t, "message").Position
				})
				page.Before, page.After = bound.Draw(t, "before"), bound.Draw(t, "after")
				list = slices.DeleteFunc(list, func(msg Message) bool {
					return !page.Before.IsZero() && msg.Position.Compare(page.Before) >= 0 || msg.Position.Compare(page.After) <= 0
				})
				if n := len(list); n > page.Limit && page.After.IsZero() {
					list = list[n-page.Limit:]
				}
				list = list[:min(len(list), page.Limit)]
				run(func(tx *Tx) error {
					got, err := tx.Messages(m.id, page)
					if !slices.Equal(got, list) {
						t.Errorf("page %+v: got %v, want %v", page, got, list)
					}
					return err
				})
			},
			"": func(t *rapid.T) {
				if err := v.View(contextOf(t), func(tx *Tx) error { return checkModels(t, tx, models) }); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

func checkModels(t *rapid.T, tx *Tx, models []*model) error {
	list, err := tx.Conversations()
	if err != nil {
		return err
	}
	byActivity := slices.SortedFunc(slices.Values(models), func(a, b *model) int {
		return cmp.Or(b.activity().Compare(a.activity()), slices.Compare(a.id[:], b.id[:]))
	})
	if len(list) != len(byActivity) {
		t.Fatalf("%d conversations", len(list))
	}
	for i, m := range byActivity {
		c := list[i]
		if c.ID != m.id || c.Unread != m.unread() || !c.LastActivity.Equal(m.activity()) {
			t.Errorf("conversation %d is %+v, want id %x, unread %d, activity %v", i, c, m.id, m.unread(), m.activity())
		}
		sorted := m.sorted()
		if len(sorted) == 0 {
			if c.Last != nil {
				t.Errorf("preview %+v of an empty conversation", *c.Last)
			}
			continue
		}
		last := sorted[len(sorted)-1]
		text := []rune(last.Body)
		want := Preview{MessageID: last.MessageID, Sender: last.Sender, Kind: last.Kind, State: last.State, Text: string(text[:min(len(text), previewLength)])}
		if c.Last == nil || c.Last.MessageID != want.MessageID || c.Last.State != want.State || c.Last.Sender != want.Sender {
			t.Errorf("preview %+v, want %+v", c.Last, want)
		} else if c.Last.Text != want.Text && !slices.Contains(text, 0) { // a preview ends at a NUL
			t.Errorf("preview %q, want %q", c.Last.Text, want.Text)
		}
	}
	return nil
}

func TestPagingThroughTenThousand(t *testing.T) {
	v, _ := newVault(t)
	conv, other := putConversation(t, v, 1), putConversation(t, v, 2)
	const n = 10_000
	fill(t, v, conv, n)
	update(t, v, func(tx *Tx) error {
		return tx.InsertMessage(&Message{Conversation: other, MessageID: messageID(0), Seq: 7, State: MessageReceived})
	})
	view(t, v, func(tx *Tx) error {
		var back, forth []uint64
		for page := (Page{Limit: 64}); ; {
			list, err := tx.Messages(conv, page)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				break
			}
			page.Before = list[0].Position
			for _, m := range slices.Backward(list) {
				back = append(back, m.Seq)
			}
		}
		for page := (Page{Limit: 64, After: Position{ID: 1}}); ; {
			list, err := tx.Messages(conv, page)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				break
			}
			page.After = list[len(list)-1].Position
			for _, m := range list {
				forth = append(forth, m.Seq)
			}
		}
		slices.Reverse(back)
		for i, list := range [][]uint64{back, forth} {
			if len(list) != n || !slices.IsSorted(list) || list[0] != 1 || list[n-1] != n {
				t.Errorf("direction %d: %d messages", i, len(list))
			}
		}
		return nil
	})
}

func TestDefaultPage(t *testing.T) {
	v, _ := newVault(t)
	conv := putConversation(t, v, 1)
	fill(t, v, conv, 60)
	view(t, v, func(tx *Tx) error {
		list, err := tx.Messages(conv, Page{})
		if err != nil || len(list) != 50 || list[0].Seq != 11 || list[49].Seq != 60 {
			t.Error(fmt.Sprint(len(list)), err)
		}
		beyond := Position{Order: math.MaxUint64, ID: math.MaxInt64}
		if list, err = tx.Messages(conv, Page{Before: beyond}); err != nil || len(list) != 50 || list[49].Seq != 60 {
			t.Error(fmt.Sprint(len(list)), err)
		}
		return nil
	})
}
