package controller

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"quicprochat/core/client"
)

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Hue tells accounts and conversations apart by colour: the same id always has
// the same.
func Hue(id [16]byte) int { return int(id[0])<<8 | int(id[1]) }

// dayOf is the midnight that t's day began with, where now is.
func dayOf(t, now time.Time) time.Time {
	y, m, d := t.In(now.Location()).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, now.Location())
}

// daysAgo is how many midnights lie between t and now.
func daysAgo(t, now time.Time) int {
	return int(dayOf(now, now).Sub(dayOf(t, now)).Round(24*time.Hour) / (24 * time.Hour))
}

// DayLabel is what the separator above t's day says.
func DayLabel(t, now time.Time) string {
	switch days := daysAgo(t, now); {
	case days == 0:
		return "Today"
	case days == 1:
		return "Yesterday"
	case days > 1 && days < 7:
		return t.In(now.Location()).Format("Monday")
	case t.In(now.Location()).Year() == now.Year():
		return t.In(now.Location()).Format("Monday, 2 January")
	default:
		return t.In(now.Location()).Format("2 January 2006")
	}
}

// ListTime is how the conversation list shows t: the shorter the more recent.
func ListTime(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	local := t.In(now.Location())
	switch days := daysAgo(t, now); {
	case days <= 0:
		return local.Format("15:04")
	case days == 1:
		return "Yesterday"
	case days < 7:
		return local.Format("Mon")
	case local.Year() == now.Year():
		return local.Format("2 Jan")
	default:
		return local.Format("2 Jan 2006")
	}
}

// EventText phrases what happened to a conversation; fallback is for kinds that
// this version does not know.
func EventText(e *client.SystemEvent, fallback string) string {
	if e == nil {
		return fallback
	}
	actor, subjects := subjectOf(e.Actor), listPeople(e.Subjects)
	switch e.Kind {
	case client.EventCreated:
		if e.Title != "" {
			return fmt.Sprintf("%s created the group “%s”.", actor, e.Title)
		}
		return actor + " started the conversation."
	case client.EventAdded:
		return fmt.Sprintf("%s added %s.", actor, subjects)
	case client.EventRemoved:
		return fmt.Sprintf("%s removed %s.", actor, subjects)
	case client.EventLeft:
		return capital(subjects) + " left."
	case client.EventRenamed:
		return fmt.Sprintf("%s renamed the group to “%s”.", actor, e.Title)
	default:
		if fallback == "" {
			return "The conversation changed."
		}
		return fallback
	}
}

func subjectOf(p client.Person) string {
	switch {
	case p.Me:
		return "You"
	case p.Name == "":
		return "Somebody"
	default:
		return p.Name
	}
}

func listPeople(people []client.Person) string {
	names := make([]string, len(people))
	for i, p := range people {
		names[i] = subjectOf(p)
		if p.Me {
			names[i] = "you"
		}
	}
	switch len(names) {
	case 0:
		return "somebody"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// preview is the second line of a conversation's row.
func preview(c client.Conversation) string {
	switch c.State {
	case client.StateLeft:
		return "You left this conversation."
	case client.StateRemoved:
		return "You were removed."
	case client.StateBroken:
		return "Lost track of this conversation; asking the others for the way back."
	}
	switch {
	case c.PreviewEvent != nil:
		return EventText(c.PreviewEvent, c.Preview)
	case c.Preview == "":
		return "No messages yet"
	case c.PreviewFromMe:
		return "You: " + c.Preview
	case c.Kind == client.KindGroup && c.PreviewSender != "":
		return c.PreviewSender + ": " + c.Preview
	default:
		return c.Preview
	}
}

// bannerText says how the connection is; empty while all is well.
func bannerText(c client.ConnectionChanged, now time.Time) string {
	switch c.State {
	case client.Online:
		return ""
	case client.Connecting:
		return "Connecting…"
	}
	if errors.Is(c.Err, client.ErrBanned) {
		return client.UserMessage(c.Err) + " You can still read what you have."
	}
	text := "Offline."
	if s := client.UserMessage(c.Err); s != "" && !errors.Is(c.Err, client.ErrOffline) {
		text = s
	}
	if c.Retry.IsZero() {
		return text
	}
	if wait := c.Retry.Sub(now).Round(time.Second); wait > 0 {
		return fmt.Sprintf("%s Trying again in %d s.", text, int(wait/time.Second))
	}
	return text + " Trying again."
}
