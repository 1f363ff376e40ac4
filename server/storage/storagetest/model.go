package storagetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"quicprochat/server/storage"
)

// channelModel is what a channel with its queues should be.
type channelModel struct {
	limit int
	epoch uint64
	// openFrom is the epoch that the last change of addresses began.
	openFrom uint64
	lastSeq  uint64
	members  []bool     // by queue
	queues   [][]string // waiting texts, "!" for an overflow mark
	lastIn   []int      // last seq by queue
	posted   map[storage.ItemID]uint64
}

func (m *channelModel) deliver(queue int, text string) {
	waiting := m.queues[queue]
	if len(waiting) >= m.limit {
		if waiting[len(waiting)-1] == "!" {
			return
		}
		text = "!"
	}
	m.queues[queue] = append(waiting, text)
	m.lastIn[queue]++
}

// testModel runs random operations against a store and a model.
func testModel(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.QueueItems = 5
	s := open(t, limits)
	rapid.Check(t, func(rt *rapid.T) {
		queues := enrolQueues(t, s, 3)
		addresses := addressesOf(queues)
		id := storage.ChannelID(random16())
		must(t, s.CreateChannel(t.Context(), storage.NewChannel{ID: id, VerifyKey: []byte("k"), Addresses: addresses[:2], Now: today}))
		m := &channelModel{
			limit: limits.QueueItems, members: []bool{true, true, false}, queues: make([][]string, 3),
			lastIn: make([]int, 3), posted: make(map[storage.ItemID]uint64),
		}
		var used []storage.ItemID
		item := func() storage.ItemID {
			if len(used) > 0 && rapid.IntRange(0, 9).Draw(rt, "repeat") == 0 {
				return rapid.SampledFrom(used).Draw(rt, "item")
			}
			used = append(used, random16())
			return used[len(used)-1]
		}
		epoch := func() uint64 {
			return uint64(max(0, int(m.epoch)+rapid.IntRange(-7, 1).Draw(rt, "epoch")))
		}
		text := 0
		rt.Repeat(map[string]func(*rapid.T){
			"post": func(rt *rapid.T) {
				text++
				p := newPost(id, epoch(), fmt.Sprint(text))
				p.Item = item()
				posted, err := s.Post(t.Context(), p)
				m.outcome(rt, p.Item, posted, err, p.Epoch <= m.epoch && p.Epoch+storage.PastEpochs >= m.epoch && p.Epoch >= m.openFrom, func() {
					for q, member := range m.members {
						if member {
							m.deliver(q, fmt.Sprint(text))
						}
					}
				})
			},
			"commit": func(rt *rapid.T) {
				text++
				c := newCommit(id, epoch(), fmt.Sprint(text))
				if rapid.Bool().Draw(rt, "current") {
					c.Epoch = m.epoch
				}
				c.Item = item()
				change := rapid.IntRange(0, 2).Draw(rt, "change")
				if m.members[change] {
					c.Remove = addresses[change : change+1]
				} else {
					c.Add = addresses[change : change+1]
					c.Welcomes = []storage.Welcome{{Queue: queues[change], Seal: seal("w")}}
				}
				posted, err := s.Commit(t.Context(), c)
				m.outcome(rt, c.Item, posted, err, c.Epoch == m.epoch, func() {
					for q, member := range m.members {
						if member {
							m.deliver(q, fmt.Sprint(text))
						}
					}
					if !m.members[change] {
						m.deliver(change, "w")
					}
					m.members[change] = !m.members[change]
					m.epoch++
					m.openFrom = m.epoch // each of these commits adds or removes
				})
			},
			"ack": func(rt *rapid.T) {
				q := rapid.IntRange(0, 2).Draw(rt, "queue")
				n := rapid.IntRange(0, len(m.queues[q])).Draw(rt, "items")
				upTo := uint64(m.lastIn[q] - len(m.queues[q]) + n)
				if n == len(m.queues[q]) && rapid.Bool().Draw(rt, "beyond") {
					upTo = math.MaxUint64
				}
				must(t, s.AckItems(t.Context(), queues[q], upTo))
				m.queues[q] = m.queues[q][n:]
			},
			"": func(rt *rapid.T) {
				for q, queue := range queues {
					items := fetchAll(t, s, queue, 0)
					var got []string
					for i, item := range items {
						if want := uint64(m.lastIn[q] - len(items) + 1 + i); item.Seq != want {
							rt.Fatalf("seq %d, want %d", item.Seq, want)
						}
						if item.Overflow {
							got = append(got, "!")
							continue
						}
						got = append(got, textOf(item))
					}
					if !slices.Equal(got, m.queues[q]) {
						rt.Fatalf("queue %d: got %q, want %q", q, got, m.queues[q])
					}
				}
			},
		})
	})
}

// outcome checks what Post or Commit returned, and applies it to the model.
func (m *channelModel) outcome(rt *rapid.T, item storage.ItemID, posted storage.Posted, err error, accepted bool, apply func()) {
	seq, duplicate := m.posted[item]
	switch {
	case duplicate:
		if err != nil || posted.ChannelSeq != seq || !posted.Duplicate {
			rt.Fatalf("repeated item: %+v, %v, want seq %d", posted, err, seq)
		}
	case !accepted:
		if stale, ok := errors.AsType[*storage.StaleError](err); !ok || stale.Current != m.epoch {
			rt.Fatalf("got %v, want a StaleError with epoch %d", err, m.epoch)
		}
	default:
		m.lastSeq++
		if err != nil || posted.ChannelSeq != m.lastSeq || posted.Duplicate {
			rt.Fatalf("got %+v, %v, want seq %d", posted, err, m.lastSeq)
		}
		m.posted[item] = m.lastSeq
		apply()
	}
}
