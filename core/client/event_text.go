package client

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"quicprochat/core/identity"
)

// storedEvent is a system event as the vault keeps it, in JSON.
type storedEvent struct {
	Kind     EventKind      `json:"kind"`
	Actor    storedPerson   `json:"actor"`
	Subjects []storedPerson `json:"subjects,omitempty"`
	Title    string         `json:"title,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	From     time.Time      `json:"from,omitzero"`
	Until    time.Time      `json:"until,omitzero"`
}

type storedPerson struct {
	ID   []byte `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

func (e SystemEvent) marshal() string {
	stored := storedEvent{Kind: e.Kind, Actor: e.Actor.stored(), Title: e.Title, Reason: e.Reason, From: e.From, Until: e.Until}
	for _, p := range e.Subjects {
		stored.Subjects = append(stored.Subjects, p.stored())
	}
	b, err := json.Marshal(stored)
	if err != nil {
		panic("client: an event always marshals: " + err.Error())
	}
	return string(b)
}

func (p Person) stored() storedPerson {
	if p.AccountID == (AccountID{}) {
		return storedPerson{Name: p.Name}
	}
	return storedPerson{ID: p.AccountID.Bytes(), Name: p.Name}
}

// event reads an event from the vault, with the names as they are known now.
func (p *people) event(body string) *SystemEvent {
	var stored storedEvent
	if err := json.Unmarshal([]byte(body), &stored); err != nil {
		return &SystemEvent{Kind: EventUnreadable}
	}
	e := &SystemEvent{Kind: stored.Kind, Actor: p.recall(stored.Actor), Title: stored.Title, Reason: stored.Reason, From: stored.From, Until: stored.Until}
	for _, s := range stored.Subjects {
		e.Subjects = append(e.Subjects, p.recall(s))
	}
	return e
}

func (p *people) recall(s storedPerson) Person {
	id, err := identity.ParseAccountID(s.ID)
	if err != nil {
		return Person{Name: s.Name}
	}
	who := p.person(id)
	if who.Name == unknownName && s.Name != "" {
		who.Name = s.Name
	}
	return who
}

// sentence phrases the event in English.
func (e *SystemEvent) sentence() string {
	actor, subjects := subject(e.Actor), names(e.Subjects)
	switch e.Kind {
	case EventCreated:
		if e.Title == "" {
			return actor + " started the conversation."
		}
		return fmt.Sprintf("%s created the group “%s”.", actor, e.Title)
	case EventAdded:
		return fmt.Sprintf("%s added %s.", actor, subjects)
	case EventRemoved:
		return fmt.Sprintf("%s removed %s.", actor, subjects)
	case EventLeft:
		return capital(subjects) + " left."
	case EventRenamed:
		return fmt.Sprintf("%s renamed the group to “%s”.", actor, e.Title)
	case EventDeviceAdded:
		return fmt.Sprintf("%s now also use%s %s.", actor, verb(e.Actor), device(e.Title))
	case EventDeviceRemoved:
		return fmt.Sprintf("%s no longer use%s %s.", actor, verb(e.Actor), device(e.Title))
	case EventUnreadable:
		if e.Actor.Name != "" {
			return fmt.Sprintf("A message from %s could not be read.", e.Actor.Name)
		}
		return "A message could not be read."
	case EventKeyChanged:
		return fmt.Sprintf("%s turned up with another key than the one you know. It was refused: somebody may be pretending.", capital(subjects))
	case EventBroken:
		return "This device lost track of the conversation: " + e.Reason
	case EventReturned:
		const at = "2 January 2006, 15:04"
		return fmt.Sprintf("This device came back to the conversation; messages from %s to %s may be missing.",
			e.From.Local().Format(at), e.Until.Local().Format(at))
	case EventOverflow:
		return "The server could not hold all messages while you were away. Some may be missing."
	default:
		return "Something happened that this version does not know."
	}
}

func subject(p Person) string {
	switch {
	case p.Me:
		return "You"
	case p.Name == "":
		return "Somebody"
	default:
		return p.Name
	}
}

func verb(p Person) string {
	if p.Me {
		return ""
	}
	return "s"
}

func device(title string) string {
	if title == "" {
		return "a device without a name"
	}
	return "the device “" + title + "”"
}

func names(list []Person) string {
	all := make([]string, len(list))
	for i, p := range list {
		if all[i] = p.Name; p.Me {
			all[i] = "you"
		}
	}
	switch n := len(all); n {
	case 0:
		return "somebody"
	case 1:
		return all[0]
	default:
		return strings.Join(all[:n-1], ", ") + " and " + all[n-1]
	}
}

func capital(s string) string {
	if s == "you" || strings.HasPrefix(s, "you,") || strings.HasPrefix(s, "you ") || strings.HasPrefix(s, "somebody") {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}
