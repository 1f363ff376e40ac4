package vault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Lists that are read whole may scan. Sorted are only conversations, of which
// there are few.
var scans = map[string]bool{
	conversationList: true,
	`DELETE FROM outbox WHERE conversation = ?`:                             true,
	`SELECT ` + contactColumns + ` FROM contacts ORDER BY name, first_seen`: true,
}

// TestQueryPlans runs every method, and then asks SQLite how it goes about each
// of the statements that they used.
func TestQueryPlans(t *testing.T) {
	v, _ := newVault(t)
	conv := putConversation(t, v, 1)
	fill(t, v, conv, 100)
	update(t, v, func(tx *Tx) error {
		m := Message{Conversation: conv, MessageID: messageID(1000), State: MessageQueued}
		o := OutboxItem{Conversation: conv}
		_, err1 := tx.Messages(conv, Page{})
		_, err2 := tx.Messages(conv, Page{After: Position{ID: 1}})
		_, err3 := tx.MarkRead(conv, EndPosition())
		_, err4 := tx.Conversations()
		_, err5 := tx.Conversation(conv)
		_, err6 := tx.Contacts()
		_, err7 := tx.Outbox(0, 10)
		_, err9 := tx.MLSRecords(conv)
		_, err10 := tx.MLSGroups()
		_, err11 := tx.ExpireKeyPackages(testTime)
		_, err12 := tx.KeyPackageCount(true)
		err := errors.Join(tx.InsertMessage(&m), tx.UpdateMessage(&m), tx.AddOutbox(&o), tx.UpdateOutbox(o), tx.RemoveOutbox(o.ID),
			tx.PutMLS(conv, records("a", "b")), tx.DeleteMLS(conv), tx.PutContact(Contact{}), tx.PutContact(Contact{}), tx.DeleteContact(conv),
			tx.PutKeyPackage(nil, nil, testTime, true), tx.DeleteKeyPackage(nil), tx.PutSetting("a", nil), tx.DeleteSetting("a"),
			err1, err2, err3, err4, err5, err6, err7, err9, err10, err11, err12)
		if err != nil {
			return err
		}
		for _, err := range []error{
			tx.PutMLS(conv, func(yield func(k, v []byte) bool) { yield(nil, nil) }),
			second(tx.MessageByID(conv, conv)), second(tx.OwnMessage(conv)), second(tx.DirectConversation(conv)), second(tx.Contact(conv)),
			second(tx.ContactByName("")), second(tx.OutboxItem(conv)), second(tx.MLSRecord(conv, nil)), second(tx.KeyPackage(nil)), second(tx.Setting("")),
			second(tx.Evidence(conv, conv)), tx.PutEvidence(m, Evidence{}),
		} {
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		if err := tx.DeleteConversation([16]byte{}); err != nil {
			return err
		}
		checked := 0
		for query := range tx.conn.statements {
			plan := explain(t, tx, query)
			t.Logf("%s\n\t%s", strings.Join(strings.Fields(query), " "), strings.Join(plan, "\n\t"))
			for _, step := range plan {
				scan := strings.Contains(step, "SCAN TABLE") && !scans[query] &&
					!strings.HasPrefix(step, "SCAN TABLE g") // the recursion of MLSGroups
				sort := strings.Contains(step, "TEMP B-TREE") && !strings.Contains(query, "FROM conversations")
				if scan || sort || strings.Contains(step, "AUTOMATIC") {
					t.Errorf("%s\n%s", query, step)
				}
			}
			checked++
		}
		if checked < 40 {
			t.Errorf("only %d statements", checked)
		}
		return nil
	})
}

func second[T any](_ T, err error) error { return err }

func explain(t *testing.T, tx *Tx, query string) (plan []string) {
	t.Helper()
	if strings.HasPrefix(query, "BEGIN") {
		return nil
	}
	args := make([]any, strings.Count(query, "?"))
	for n := 1; strings.Contains(query, "?1"); n++ { // numbered
		if !strings.Contains(query, fmt.Sprint("?", n)) {
			args = args[:n-1]
			break
		}
	}
	rows, err := tx.conn.sql.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
