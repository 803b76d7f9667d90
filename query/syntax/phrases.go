package syntax

import "github.com/alecthomas/participle/v2/lexer"

// phrase is a keyword candidate with a short explanation. If only is set, it lists the types of values it
// applies to.
type phrase struct{ text, doc, only string }

// phrases is a group of candidates of the same rank.
type phrases struct {
	rank  int
	typed bool // offer only those for the type of the value before
	list  []phrase
}

func statementWords() phrases {
	return phrases{list: []phrase{
		{"count", "how many profiles", ""}, {"count where", "how many profiles satisfy a condition", ""}, {"list", "profiles with columns", ""},
		{"stats", "measures over the members", ""}, {"trend", "an event over time", ""}, {"funnel", "how many reach each step", ""},
		{"retention", "who comes back", ""}, {"overlap", "the regions of two or three conditions", ""}, {"insights where", "what sets profiles apart", ""},
		{"lookalike of", "the most similar profiles", ""}, {"rfm of", "recency, frequency, money", ""}, {"explain", "the plan of a statement", ""},
		{"why profile", "a condition for one profile, clause by clause", ""}, {"create segment", "save a condition under a name", ""},
		{"create or replace segment", "change a saved condition", ""}, {"drop segment", "delete a segment", ""}, {"show segments", "the saved segments", ""},
		{"show events", "the known events", ""}, {"show attributes", "the known attributes", ""}, {"describe", "one segment, event or attribute", ""},
	}}
}

// firstWords returns the words that follow the first word of a statement.
func firstWords(statement string) phrases {
	switch statement {
	case "stats":
		return statsWords()
	case "explain", "analyze":
		p := statementWords()
		if statement == "explain" {
			p.list = append([]phrase{{"analyze", "run it, with rows kept and dropped by each clause", ""}}, p.list...)
		}
		return p
	case "create":
		return phrases{list: []phrase{{"segment", "save a condition under a name", ""}, {"or replace segment", "change a saved condition", ""}}}
	case "drop":
		return phrases{list: []phrase{{"segment", "delete a segment", ""}}}
	case "show":
		return phrases{list: []phrase{{"segments", "the saved segments", ""}, {"events", "the known events", ""}, {"attributes", "the known attributes", ""}}}
	case "describe":
		return phrases{list: []phrase{{"segment", "one segment", ""}, {"event", "one event and its properties", ""}, {"attribute", "one attribute", ""}}}
	case "insights":
		return phrases{list: []phrase{{"where", "the profiles to look at", ""}}}
	case "lookalike", "rfm":
		return phrases{list: []phrase{{"of", "the profiles or events to use", ""}}}
	case "why":
		return phrases{list: []phrase{{"profile", "the id of the profile follows", ""}}}
	}
	return clauseWordsOf(statement, false)
}

func statsWords() phrases {
	return phrases{list: []phrase{
		{"count", "how many members", ""}, {"sum(", "the total", ""}, {"avg(", "the average", ""}, {"median(", "the middle value", ""},
		{"percentile(", "the value that a percentage of members is below", ""}, {"min(", "the smallest", ""}, {"max(", "the largest", ""}, {"distinct(", "how many different values", ""},
		{"count of", "how many events of the members", ""}, {"days of", "active days of the members", ""},
	}}
}

// conditionWords returns the words that begin a condition on profiles.
func conditionWords() phrases {
	return phrases{rank: 2, list: []phrase{
		{"did", "did an event", ""}, {"did not", "never did it in the window", ""}, {"not", "the opposite", ""}, {"in segment", "members of a segment", ""},
		{"first did", "their first such event is in a window", ""}, {"last did", "their latest such event is in a window", ""},
		{"count of", "how often they did it", ""}, {"sum(", "a total over their events", ""}, {"avg(", "an average over their events", ""},
		{"min(", "the smallest over their events", ""}, {"max(", "the largest over their events", ""}, {"distinct(", "different values over their events", ""},
		{"days of", "their active days", ""}, {"first(", "the value at their first event", ""}, {"last(", "the value at their latest event", ""},
		{"favorite(", "their most frequent value", ""}, {"in list", "on an imported list", ""}, {"in sample", "a stable share of all profiles", ""},
		{"in top", "the highest by a measure", ""}, {"in bottom", "the lowest by a measure", ""}, {"was in segment", "members at an earlier time", ""}, {"everyone", "all profiles", ""},
	}}
}

// questionWords returns the words that follow a value.
func questionWords() phrases {
	return phrases{typed: true, list: []phrase{
		{"=", "equal", "boolean number string time"}, {"!=", "not equal, or no value", "boolean number string time"}, {">", "greater", "number string time"},
		{">=", "greater or equal", "number string time"}, {"<", "less", "number string time"}, {"<=", "less or equal", "number string time"},
		{"in (", "one of several values", "number string"}, {"between", "from … and …, both included", "number string time"}, {"is set", "has a value", ""}, {"is not set", "has no value", ""},
		{"contains", "the text contains it", "string"}, {"starts with", "the text begins with it", "string"}, {"ends with", "the text ends with it", "string"}, {"matches", "a regular expression", "string"},
		{"has", "the list has an item", "list"}, {"has any (", "the list has one of the items", "list"}, {"has all (", "the list has all of the items", "list"},
		{"in last", "a span of time up to now", "time"}, {"in next", "a span of time from now", "time"}, {"is anniversary", "the day and month recur", "time"},
		{"not in (", "none of several values", "number string"}, {"not contains", "the text does not contain it", "string"},
	}}
}

func eventWords() phrases {
	return phrases{list: []phrase{
		{"where (", "which of these events", ""}, {"at least", "how often, or more", ""}, {"in last", "a span of time up to now", ""}, {"then", "followed by", ""}, {"then not", "not followed by", ""},
		{"exactly", "how often", ""}, {"once", "exactly once", ""}, {"at most", "how often, or less", ""}, {"more than", "more often, or longer ago", ""}, {"fewer than", "less often", ""},
		{"within", "the largest gap to the step before", ""},
	}}
}

func windowWords() phrases {
	return phrases{rank: 6, list: []phrase{
		{"in last", "a span of time up to now", "time"}, {"today", "since midnight", "time"}, {"yesterday", "the day before", "time"}, {"this week", "since Monday", "time"},
		{"this month", "since the 1st", "time"}, {"last week", "the calendar week before", "time"}, {"last month", "the calendar month before", "time"}, {"more than", "… ago", "time"},
		{"since", "from a day on", "time"}, {"before", "up to a day", "time"}, {"on", "one day", "time"}, {"between", "two days, both included", "time"}, {"ever", "at any time", "time"},
	}}
}

// clauseWordsOf returns the words that can follow a complete part of a statement.
func clauseWordsOf(statement string, where bool) phrases {
	p := phrases{rank: 4}
	if where {
		p.list = append(p.list, phrase{"and", "both conditions", ""}, phrase{"or", "one of the conditions", ""})
	} else {
		p.list = append(p.list, phrase{"where", "which profiles", ""})
	}
	switch statement {
	case "count", "stats":
		p.list = append(p.list, phrase{"by", "a row for each value", ""}, phrase{"order by", "the order of the rows", ""}, phrase{"limit", "how many rows", ""})
	case "list":
		p.list = append(p.list, phrase{"order by", "the order of the rows", ""}, phrase{"limit", "how many rows", ""})
	case "trend", "funnel", "retention":
		p.list = append(p.list, phrase{"by", "the buckets, or a breakdown", ""})
	case "lookalike":
		p.list = append(p.list, phrase{"top", "how many", ""}, phrase{"among", "which profiles to choose from", ""})
	case "insights":
		p.list = append(p.list, phrase{"against", "which profiles to compare with", ""})
	}
	p.list = append(p.list, phrase{"as of", "sets the statement's now", ""}, phrase{"in timezone", "the time zone of days", ""})
	return p
}

// inWords returns the words that follow `in`: values and windows after a value, else memberships.
func inWords(before *lexer.Token) phrases {
	if before.Type == opToken || isAny(before, "where", "and", "or", "not", "as", "of", "against", "among", "by") || before.EOF() {
		return phrases{list: []phrase{{"segment", "members of a segment", ""}, {"list", "on an imported list", ""}, {"sample", "a stable share of all profiles", ""}, {"top", "the highest by a measure", ""}, {"bottom", "the lowest by a measure", ""}}}
	}
	return phrases{list: []phrase{{"last", "a span of time up to now", ""}, {"(", "several values", ""}, {"next", "a span of time from now", ""}, {"timezone", "the time zone of days", ""}, {"steps of", "groups of numbers", ""}}}
}

func isWords() phrases {
	return phrases{list: []phrase{{"set", "has a value", ""}, {"not set", "has no value", ""}, {"anniversary", "the day and month recur", ""}}}
}

func hasWords() phrases {
	return phrases{list: []phrase{{"any (", "one of them", ""}, {"all (", "all of them", ""}}}
}

func durationWords() phrases {
	return phrases{list: []phrase{{"7 days", "", ""}, {"30 days", "", ""}, {"90 days", "", ""}, {"1 hour", "", ""}, {"24 hours", "", ""}, {"3 months", "", ""}, {"1 year", "", ""}, {"week", "the calendar week", ""}, {"month", "the calendar month", ""}}}
}

func countWords() phrases {
	return phrases{list: []phrase{{"1 time", "", ""}, {"2 times", "", ""}, {"3 times", "", ""}, {"5 times", "", ""}, {"10 times", "", ""}}}
}

func numberWords() phrases {
	return phrases{list: []phrase{{"days", "24 hours each", ""}, {"times", "how often", ""}, {"hours", "", ""}, {"weeks", "7 days each", ""}, {"months", "by the calendar", ""}, {"years", "by the calendar", ""}, {"minutes", "", ""}}}
}

func unitWords() phrases {
	return phrases{list: []phrase{{"week", "from Monday", ""}, {"month", "", ""}, {"quarter", "", ""}, {"year", "", ""}}}
}

func bucketWords() phrases {
	return phrases{list: []phrase{{"day", "a row for each day", ""}, {"week", "a row for each week", ""}, {"month", "a row for each month", ""}, {"hour", "a row for each hour", ""}}}
}

func dimensionWords() phrases {
	return phrases{rank: 2, list: []phrase{{"day(", "the day of a time", ""}, {"week(", "the week of a time", ""}, {"month(", "the month of a time", ""}, {"year(", "the year of a time", ""},
		{"in segment", "members and others", ""}, {"first(", "the value at the first event", ""}, {"last(", "the value at the latest event", ""}, {"favorite(", "the most frequent value", ""}}}
}
