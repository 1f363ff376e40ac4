package client

import (
	"testing"
	"testing/synctest"
)

func TestSubscribersCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s subscribers
		events, cancel := s.subscribe()
		defer cancel()
		id := ConversationID{1}
		for i := range 100 {
			s.publish(ConversationChanged{Conversation{ID: id, Unread: i}})
			s.publish(MessageAdded{Message{ID: MessageID{byte(i)}, Conversation: id}})
		}
		synctest.Wait()
		added, last := 0, -1
		for range len(events) + maxPendingEvents {
			select {
			case e := <-events:
				switch e := e.(type) {
				case MessageAdded:
					added++
				case ConversationChanged:
					last = e.Conversation.Unread
				}
				synctest.Wait()
			default:
			}
		}
		if added != 100 {
			t.Errorf("%d of 100 messages", added)
		}
		if last != 99 {
			t.Errorf("the last state seen is %d", last)
		}
	})
}

func TestSlowSubscriberGetsResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s subscribers
		events, cancel := s.subscribe()
		for i := range 3 * maxPendingEvents {
			s.publish(MessageAdded{Message{ID: MessageID{byte(i), byte(i >> 8)}}})
		}
		n, resync := 0, false
		cancelled := false
		for e := range events {
			n++
			if _, ok := e.(Resync); ok {
				resync = true
			}
			synctest.Wait()
			if resync && len(events) == 0 && !cancelled {
				cancelled = true
				cancel()
			}
		}
		if !resync || n > 2*maxPendingEvents {
			t.Errorf("%d events, resync %v", n, resync)
		}
	})
}

func TestClosedSubscribers(t *testing.T) {
	var s subscribers
	events, cancel := s.subscribe()
	s.close()
	if _, ok := <-events; ok {
		t.Error("an event after close")
	}
	cancel()
	late, cancel := s.subscribe()
	defer cancel()
	if _, ok := <-late; ok {
		t.Error("a subscription after close")
	}
}
