package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"quicprochat/core/client"
)

var categoryNames = map[client.Category]string{
	client.CategorySpam:       "Spam",
	client.CategoryHarassment: "Harassment",
	client.CategoryViolence:   "Violence",
	client.CategorySexual:     "Sexual content",
	client.CategoryIllegal:    "Illegal",
	client.CategoryOther:      "Something else",
}

// Categories are the names of client.Categories, in the same order.
func Categories() []string {
	names := make([]string, len(client.Categories))
	for i, c := range client.Categories {
		names[i] = categoryNames[c]
	}
	return names
}

// Report shows one message to the moderators of the server.
type Report struct {
	Form
	conversation *Conversation
	message      Row
	noteProblem  string
}

// Report makes the controller of the dialog for a message of somebody else.
func (c *Conversation) Report(message Row) *Report {
	return &Report{Form: Form{loop: c.main.loop}, conversation: c, message: message}
}

// Message is what is to be reported.
func (r *Report) Message() Row { return r.message }

// NoteProblem says what is wrong with the note.
func (r *Report) NoteProblem() string { return r.noteProblem }

// Disclosure says what the moderators will see.
func (r *Report) Disclosure() string {
	return fmt.Sprintf("The moderators of %s will see this message, that %s sent it and when, the reason that you choose and your note. "+
		"They will see nothing else of the conversation, and not that it was you.", r.conversation.main.Me().Server, r.message.Sender)
}

// Edited clears what was wrong.
func (r *Report) Edited() {
	if r.problem != "" || r.noteProblem != "" {
		r.problem, r.noteProblem = "", ""
		r.changed()
	}
}

// Submit reports the message; category is an index into Categories.
func (r *Report) Submit(category int, note string) {
	if r.busy {
		return
	}
	note = strings.TrimSpace(note)
	if r.noteProblem = noteProblem(note); r.noteProblem != "" {
		r.changed()
		return
	}
	c := r.conversation
	r.work(func(ctx context.Context) error {
		return c.main.session.ReportMessage(ctx, c.ID(), r.message.ID, client.Categories[category], note)
	}, func(err error) bool {
		if !errors.Is(err, client.ErrNoteInvalid) {
			return false
		}
		r.noteProblem = client.UserMessage(err)
		return true
	}, nil)
}

func noteProblem(note string) string {
	if over := len(note) - client.MaxNote; over > 0 {
		return fmt.Sprintf("This is too long by %s.", plural(over, "byte"))
	}
	return ""
}

// reportable is how many messages a choice of one to report offers.
const reportable = 30

// Reportable are the newest messages of others, newest first.
func (c *Conversation) Reportable() []Row {
	var rows []Row
	for i, m := range slices.Backward(c.rows) {
		if m.Kind == client.KindText && !m.Mine && len(rows) < reportable {
			rows = append(rows, c.Row(i))
		}
	}
	return rows
}
