package tree

// The codes of diagnostics. They are stable. A problem with one of them has status 400.
const (
	CodeAttributeLeftOut  = "attribute_left_out"
	CodeBadCondition      = "bad_condition"
	CodeBadMeasure        = "bad_measure"
	CodeBadPattern        = "bad_pattern"
	CodeBadPrevious       = "bad_previous"
	CodeBadRange          = "bad_range"
	CodeBadRank           = "bad_rank"
	CodeBadSample         = "bad_sample"
	CodeBadSequence       = "bad_sequence"
	CodeBadSteps          = "bad_steps"
	CodeBadTime           = "bad_time"
	CodeBadWindow         = "bad_window"
	CodeLimit             = "limit"
	CodeLimitTooLarge     = "limit_too_large"
	CodeNotForStats       = "not_for_stats"
	CodeNotInMemory       = "not_in_memory"
	CodeNotSupported      = "not_supported"
	CodeRowsLeftOut       = "rows_left_out"
	CodeSegmentCycle      = "segment_cycle"
	CodeStatementTooLarge = "statement_too_large"
	CodeSyntax            = "syntax"
	CodeTooManyGroups     = "too_many_groups"
	CodeTree              = "tree"
	CodeTypeMismatch      = "type_mismatch"
	CodeUnknownAttribute  = "unknown_attribute"
	CodeUnknownColumn     = "unknown_column"
	CodeUnknownEvent      = "unknown_event"
	CodeUnknownList       = "unknown_list"
	CodeUnknownName       = "unknown_name"
	CodeUnknownPast       = "unknown_past"
	CodeUnknownProfile    = "unknown_profile"
	CodeUnknownProperty   = "unknown_property"
	CodeUnknownSegment    = "unknown_segment"
	CodeUnknownTimezone   = "unknown_timezone"
	CodeUnknownZone       = "unknown_zone"
	CodeValuesLeftOut     = "values_left_out"
)

// Codes returns all codes of diagnostics.
func Codes() []string {
	return []string{
		CodeAttributeLeftOut,
		CodeBadCondition,
		CodeBadMeasure,
		CodeBadPattern,
		CodeBadPrevious,
		CodeBadRange,
		CodeBadRank,
		CodeBadSample,
		CodeBadSequence,
		CodeBadSteps,
		CodeBadTime,
		CodeBadWindow,
		CodeLimit,
		CodeLimitTooLarge,
		CodeNotForStats,
		CodeNotInMemory,
		CodeNotSupported,
		CodeRowsLeftOut,
		CodeSegmentCycle,
		CodeStatementTooLarge,
		CodeSyntax,
		CodeTooManyGroups,
		CodeTree,
		CodeTypeMismatch,
		CodeUnknownAttribute,
		CodeUnknownColumn,
		CodeUnknownEvent,
		CodeUnknownList,
		CodeUnknownName,
		CodeUnknownPast,
		CodeUnknownProfile,
		CodeUnknownProperty,
		CodeUnknownSegment,
		CodeUnknownTimezone,
		CodeUnknownZone,
		CodeValuesLeftOut,
	}
}
